"""openmined.storage"""
