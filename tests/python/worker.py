#!/usr/bin/env python3
"""A worker for Hillock in plain Python: it polls, and needs nothing but the standard library.

    HILLOCK_API_KEY=hlk_… worker.py http://127.0.0.1:7070 AGENT [STATE_FILE]

It serves one agent and works on one prompt at a time, in `work` below: the place for your own. The
messages are those of `hillock protocol`. Three rules make it safe:

- Every word about a command carries the command's token. `refused` means: not yours any more, stop.
- What has no answer yet (`logged`, `settled`) is said again after `hello`; the host knows it by its
  number and its token.
- An answer that did not arrive may have held a command. So after any failure, say `hello` again, with
  all that you hold: what you don't, goes back to the queue.
"""

import http.client, json, os, sys, threading, time, urllib.error, urllib.request, uuid
from datetime import datetime, timezone

VERSION = 2


def work(prompt, log, canceled):
    """Does what the prompt asks, line by line, and says how it ended."""
    for line in prompt.splitlines():
        if line.startswith("wait for "):
            while not os.path.exists(line.removeprefix("wait for ")):
                if canceled.wait(0.05):
                    return {"outcome": "canceled"}
        elif line == "fail":
            return {"outcome": "failed", "error": "I was told to"}
        else:
            log(line.upper())
    return {"outcome": "completed"}


class Command:
    """One command in hand: its program's thread, its lines, and how it ended."""

    def __init__(self, message):
        self.held, self.lines, self.stored, self.ending = message["held"], [], 0, None
        self.said_lines, self.said_ending = 0, False
        self.canceled = threading.Event()
        threading.Thread(target=self.run, args=[message["prompt"]], daemon=True).start()

    def run(self, prompt):
        try:
            self.ending = work(prompt, self.log, self.canceled)
        except Exception as error:
            self.ending = {"outcome": "failed", "error": str(error)}

    def log(self, text):
        at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        self.lines.append({"at": at, "stream": "stdout", "text": text})

    def begin(self):
        """What is said of it on every new place: all that was not answered, again."""
        self.said_lines, self.said_ending = self.stored, False
        return [{"type": "acknowledged", "held": self.held}, {"type": "started", "held": self.held}]

    def news(self):
        """What was not said yet. The ending comes after all lines."""
        ending, lines, news = self.ending, self.lines[self.said_lines : self.said_lines + 256], []
        if lines:
            first = self.said_lines + 1
            news += [{"type": "logs", "held": self.held, "first": first, "lines": lines}]
            self.said_lines += len(lines)
        if ending and self.said_lines == len(self.lines) and not self.said_ending:
            self.said_ending = True
            news += [{"type": "finished", "held": self.held, "ending": ending}]
        return news


class Worker:
    def __init__(self, url, key, agent, worker_id):
        self.url, self.key, self.agent, self.id = url, key, agent, worker_id
        self.place, self.heartbeat, self.commands = None, 15.0, {}

    def hello(self):
        held = [command.held for command in self.commands.values()]
        agents = [{"workspace_id": "", "name": self.agent}]
        hello = {"type": "hello", "version": VERSION, "worker_id": self.id, "name": "python",
                 "agents": agents, "capacity": 1, "active": held}
        return [hello] + [word for command in self.commands.values() for word in command.begin()]

    def poll(self, messages):
        """One exchange. Busy, it comes back soon, since there are lines to bring."""
        body = {"messages": messages, "wait_ms": 100 if self.commands else int(self.heartbeat * 1000)}
        if self.place:
            body["place"] = self.place
        request = urllib.request.Request(self.url + "/api/v1/workers/poll", json.dumps(body).encode(),
                                         {"Authorization": "Bearer " + self.key})
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        self.place = answer["place"]
        return answer["messages"]

    def hear(self, message):
        """What the host says, and what is to be said to that."""
        kind, held = message["type"], message.get("held", {})
        command = self.commands.get(message.get("command_id") or held.get("command_id"))
        if kind == "welcome":
            self.heartbeat = message["heartbeat_ms"] / 1000
        elif kind == "run":
            self.commands[held["command_id"]] = command = Command(message)
            return command.begin()
        elif kind == "cancel" and command:
            command.canceled.set()
        elif kind == "control":  # A command of its own, of which this worker knows one kind.
            stop = self.commands.get(message["command_id"]) if message["action"] == "cancel" else None
            if stop:
                stop.canceled.set()
            known = stop or message["action"] == "health_check"
            unknown = {"outcome": "failed", "error": "this worker cannot " + message["action"]}
            ending = {"outcome": "completed"} if known else unknown
            return [{"type": "acknowledged", "held": held},
                    {"type": "finished", "held": held, "ending": ending}]
        elif command and command.held != held:
            pass  # About an earlier hand-over of the same command.
        elif kind == "logged" and command:
            command.stored = message["through"]
        elif kind in ("settled", "refused") and command:
            command.canceled.set()
            del self.commands[held["command_id"]]
        return []

    def serve(self):
        words, alive_at = [], 0.0
        while True:
            if not self.place:
                words, alive_at = self.hello(), time.monotonic()
            elif time.monotonic() - alive_at >= self.heartbeat:
                alive_at = time.monotonic()
                held = [command.held for command in self.commands.values()]
                words += [{"type": "heartbeat", "active": held}]
            words += [word for command in self.commands.values() for word in command.news()]
            try:
                words = [word for message in self.poll(words) for word in self.hear(message)]
            except (OSError, ValueError, http.client.HTTPException) as error:
                if isinstance(error, urllib.error.HTTPError) and error.code in (400, 401, 403):
                    sys.exit(f"the host refuses this worker: {error.read().decode()}")
                self.place = None
                if getattr(error, "code", None) != 409:  # 409: the host asks for a hello.
                    time.sleep(1)


def identity(path):
    """The same worker after a restart: then the host knows at once what it had."""
    if path and os.path.exists(path):
        with open(path) as file:
            return file.read()
    worker_id = "wrk_" + uuid.uuid4().hex
    if path:
        with open(path, "w") as file:
            file.write(worker_id)
    return worker_id


if __name__ == "__main__":
    url, agent, *state = sys.argv[1:]
    Worker(url, os.environ["HILLOCK_API_KEY"], agent, identity(*state or [None])).serve()
