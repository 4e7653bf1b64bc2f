"""openmined.stats"""
