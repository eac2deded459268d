"""Tests of the directory: searching, filtering and paging builders."""
