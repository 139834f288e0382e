"""What training trains: siamese towers, projections, backbones."""
