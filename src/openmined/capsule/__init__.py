"""openmined.capsule"""
