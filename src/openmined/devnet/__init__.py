"""openmined.devnet"""
