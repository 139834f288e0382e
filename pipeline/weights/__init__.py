"""From public weight files to the `.tflite` backbones of a bundle.

The one part of the pipeline besides training that loads TensorFlow; a verify worker never
imports it. Local files only: getting them is somebody else's step.
"""
