"""openmined.adapters"""
