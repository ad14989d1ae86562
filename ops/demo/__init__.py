"""
The demonstration: a gateway and three fictitious partners go through the main job, each over HTTP as in real life.
"""
