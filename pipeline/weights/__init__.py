"""Convert public weight files to the networks of a bundle.

Besides training this is the only package that loads TensorFlow; a verify worker never imports it. It takes
local files only.
"""
