"""openmined.syft"""
