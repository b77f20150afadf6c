"""The peers, one file per library's method. Each imports its library when it is constructed."""
