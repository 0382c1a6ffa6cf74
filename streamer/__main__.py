"""`python -m braggwatch.streamer` is the command `braggwatch`."""

from braggwatch.streamer.cli import main

if __name__ == "__main__":
    main()
