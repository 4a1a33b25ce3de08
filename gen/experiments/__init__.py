"""Experiments with rate-coded networks: preloads and delayed evaluation (Hwang et al. 2021), records and drawings."""
