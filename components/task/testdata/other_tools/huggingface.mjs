// Writes huggingface.jsonl: what Hugging Face's tokenizers make of the lines of
// held_out.txt with the vocab.json and merges.txt that exp has learned from text.txt.
//   npm install @huggingface/tokenizers@0.2.0 && node huggingface.mjs
import { readFileSync, writeFileSync } from "node:fs";
import { Tokenizer } from "@huggingface/tokenizers";

const lines = (name) => readFileSync(new URL(name, import.meta.url), "utf8").split("\n").slice(0, -1);
const metaspace = { type: "Metaspace", replacement: "▁", add_prefix_space: true, prepend_scheme: "always", split: true };
const tokenizer = new Tokenizer(
  {
    version: "1.0",
    added_tokens: ["<pad>", "<s>", "</s>", "<unk>"].map((content, id) => ({ id, content, special: true })),
    normalizer: null,
    pre_tokenizer: metaspace,
    post_processor: null,
    decoder: { type: "Sequence", decoders: [{ type: "ByteFallback" }, metaspace] },
    model: {
      type: "BPE",
      unk_token: "<unk>",
      byte_fallback: true,
      vocab: JSON.parse(readFileSync(new URL("vocab.json", import.meta.url), "utf8")),
      merges: lines("merges.txt").slice(1).map((line) => line.split(" ")),
    },
  },
  {},
);
const cut = lines("held_out.txt").map((text) => {
  const { ids, tokens } = tokenizer.encode(text);
  return { text, tokens, ids, decoded: tokenizer.decode(ids) };
});
writeFileSync(new URL("huggingface.jsonl", import.meta.url), cut.map((c) => JSON.stringify(c) + "\n").join(""));
