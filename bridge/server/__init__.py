"""The road on top: HTTP. Wired together in app.py, nowhere else."""
