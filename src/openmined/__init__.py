"""OpenMined: train models on data you never see; earn from data you never give away."""

__version__ = "0.1.0"
