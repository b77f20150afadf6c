"""Ways to run an exported ranking model; none of them imports Keras."""
