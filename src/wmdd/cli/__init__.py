"""The command line. Nothing here imports torch until a verb begins its work."""
