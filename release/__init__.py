"""What leaves the house: packages that anyone can make again, what is in them, and what they stand on.

`python -m release` writes all of it to `dist/`; decision 0010 says why it is made this way.
"""
