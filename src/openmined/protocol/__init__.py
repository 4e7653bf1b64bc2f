"""openmined.protocol"""
