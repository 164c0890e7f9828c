"""Scanned pages turned upright: which way each stands, and how sure that is.

`orientation` decides, from pixels. Works with any classifier whose labels are the four angles, such as `doc_ori`.
"""
