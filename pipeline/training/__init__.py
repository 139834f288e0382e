"""Training: labelled photos in, a bundle out. The one part besides `pipeline.weights` that uses Keras.

Verify workers never import it; commands do so when they are called.
"""
