"""Where the commands talk to the user: results on standard output, messages on standard error."""

from rich.console import Console

output = Console(highlight=False)
messages = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """Tell the user how things go."""
    messages.print(text, markup=False, soft_wrap=True)


def say_error(text: str) -> None:
    """Tell the user what went wrong."""
    for line in text.splitlines():
        messages.print(f"[bold red]braggwatch:[/] {_escape(line)}", soft_wrap=True)


def _escape(text: str) -> str:
    return text.replace("[", r"\[")
