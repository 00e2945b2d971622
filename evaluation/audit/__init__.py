"""The audit: does a model draw what nobody asked it to copy, more or less than the reference does?"""
