"""openmined.mine"""
