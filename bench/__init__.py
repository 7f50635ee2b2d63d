"""Measurements as ratios within one run; `./dev bench` runs all of them and writes bench/results.md."""
