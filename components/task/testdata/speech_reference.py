"""Writes speech_reference.json: filterbanks, their logarithms and deltas by NumPy
and SciPy, which share nothing with the project. Run with Python 3, NumPy 1.24 and
SciPy 1.10."""

import json

import numpy as np
from scipy import signal

RATE, WINDOW, HOP, FFT, MEL, LOW, HIGH, EMPHASIS = 8000, 200, 80, 256, 20, 60.0, 3800.0, 0.97


def sound(n):
    state, noise = 1, []
    for _ in range(n):  # a congruential generator, the same in any language
        state = (state * 1103515245 + 12345) % 2**31
        noise.append(state / 2**31 - 0.5)
    t = np.arange(n)
    return 0.5 * np.sin(2 * np.pi * 440 * t / RATE) + 0.2 * np.sin(2 * np.pi * 1730 * t / RATE + 1) + 0.05 * np.array(noise)


def bank():
    edges = 700 * (10 ** (np.linspace(2595 * np.log10(1 + LOW / 700), 2595 * np.log10(1 + HIGH / 700), MEL + 2) / 2595) - 1)
    hz = np.fft.rfftfreq(FFT, 1 / RATE)
    return np.array([np.interp(hz, edges[i : i + 3], [0, 1, 0], left=0, right=0) for i in range(MEL)])


x = signal.lfilter([1, -EMPHASIS], [1], sound(1000))
frames = np.lib.stride_tricks.sliding_window_view(x, WINDOW)[::HOP]
power = np.abs(np.fft.rfft(frames * signal.windows.hann(WINDOW, sym=True), FFT)) ** 2
log_mel = np.log(np.maximum(1e-10, power @ bank().T))
delta = signal.savgol_filter(log_mel, 5, polyorder=1, deriv=1, axis=0, mode="nearest")
second = signal.savgol_filter(delta, 5, polyorder=1, deriv=1, axis=0, mode="nearest")
json.dump(
    {"bank": bank().tolist(), "frames": np.concatenate([log_mel, delta, second], axis=1).round(7).tolist()},
    open("speech_reference.json", "w"),
)
