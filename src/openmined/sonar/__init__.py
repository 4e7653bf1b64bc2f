"""openmined.sonar"""
