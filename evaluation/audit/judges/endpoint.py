"""The question of `vision_language`, put to a model behind a chat completions endpoint.

In: images, which leave this machine as PNG in data URLs. Out: 1 where the answer names the target, else 0. What the
endpoint says it answered with is counted, because a name of a model may come to mean another one.
Source: the chat completions format that OpenAI published, which vLLM, llama.cpp, Ollama and others serve.
"""

import base64
import io
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from PIL import Image

from evaluation.audit.judges.base import JudgeError, JudgeScores, JudgeSettings, check_asked, with_judge_hash
from evaluation.audit.judges.naming import MATCHING, QUESTION, Names
from evaluation.features.base import eight_bit
from evaluation.weights import reason
from prompts.errors import quoted
from prompts.probes import Probe, ProbeSet

MOST_TOKENS = 60
_AT_ONCE = 8
_AGAIN = {408, 409, 425, 429, 500, 502, 503, 504, 529}
_LONGEST_WAIT_S = 60.0
_HERE = {"localhost", "127.0.0.1", "::1"}


class EndpointError(JudgeError):
    """An endpoint that cannot be asked, or does not answer as the format says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was said, and by which model, as the endpoint tells it."""

    text: str
    model: str


def open_judge(
    probes: ProbeSet, settings: JudgeSettings, sleep: Callable[[float], None] = time.sleep
) -> "EndpointJudge":
    """The judge at `settings.address` (as in http://127.0.0.1:8000/v1) with `settings.model` and, if set, its key.

    Nothing is sent yet. Raises EndpointError for no address, no model, and a key that would travel unencrypted.
    """
    if not settings.address or not settings.model:
        raise EndpointError(
            "The judge endpoint needs an address and a model: say --endpoint http://127.0.0.1:8000/v1 and "
            "--endpoint-model NAME."
        )
    parts = urlsplit(settings.address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise EndpointError(
            f"The endpoint {quoted(settings.address)} is no address: begin it with http:// or https://, as in "
            "http://127.0.0.1:8000/v1."
        )
    if settings.key and parts.scheme == "http" and parts.hostname not in _HERE:
        raise EndpointError(
            f"The key for {parts.hostname} would travel unencrypted, and the images with it: give its https:// address."
        )
    return EndpointJudge(probes, settings, sleep)


class EndpointJudge:
    """An endpoint and how to ask it; satisfies Judge."""

    default_threshold = 0.5

    def __init__(self, probes: ProbeSet, settings: JudgeSettings, sleep: Callable[[float], None]) -> None:
        """Take the settings; `open_judge` has checked them."""
        assert settings.address is not None
        self._names = Names(probes)
        self._settings = settings
        self._sleep = sleep
        self._address = settings.address.rstrip("/") + "/chat/completions"

    @property
    def details(self) -> dict[str, Any]:
        """The question, the address and the model's name, as JSON values; never the key."""
        return with_judge_hash(
            {
                "judge": "endpoint",
                "value": "1 where the answer names the target",
                "matching": MATCHING,
                "question": QUESTION,
                "decoding": f"temperature 0, at most {MOST_TOKENS} tokens",
                "address": self._address,
                "asked_model": self._settings.model,
                "default_threshold": self.default_threshold,
            },
            "httpx",
        )

    def judge(
        self,
        images: Sequence[Image.Image],
        probes: Sequence[Probe],
        prompts: Sequence[str],
        on_done: Callable[[int], None] = lambda done: None,
    ) -> JudgeScores:
        """1 or 0 for each image, and what was answered; several requests run at once.

        `counts` tell which models answered. Raises MismatchedProbesError, PixelsError and EndpointError.
        """
        check_asked(images, probes, prompts)
        headers = {"Authorization": f"Bearer {self._settings.key}"} if self._settings.key else {}
        answers: list[Answer] = []
        with (
            httpx.Client(headers=headers, timeout=self._settings.patience_s) as client,
            ThreadPoolExecutor(min(_AT_ONCE, self._settings.batch_size)) as pool,
        ):
            try:
                for answer in pool.map(lambda image: self._ask(client, image), images):
                    answers.append(answer)
                    on_done(1)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)  # what was not begun shall not be paid for
                raise
        models = Counter(f"answered by {answer.model}" for answer in answers)
        return self._names.scores([answer.text for answer in answers], probes, dict(models))

    def _ask(self, client: httpx.Client, image: Image.Image) -> Answer:
        content = [
            {"type": "text", "text": QUESTION},
            {"type": "image_url", "image_url": {"url": data_url(eight_bit(image))}},
        ]
        body = {
            "model": self._settings.model,
            "messages": [{"role": "user", "content": content}],
            "temperature": 0,
            "max_tokens": MOST_TOKENS,
        }
        problem = ""
        for attempt in range(self._settings.attempts):
            wait = min(_LONGEST_WAIT_S, 2.0**attempt)
            try:
                response = client.post(self._address, json=body)
            except httpx.RequestError as error:
                problem = reason(error)
            else:
                if response.status_code not in _AGAIN:
                    return self._read(response)
                problem = f"it answered {response.status_code}"
                wait = max(wait, _asked_to_wait(response))
            if attempt + 1 < self._settings.attempts:
                self._sleep(wait)
        raise EndpointError(
            f"{self._address} gave no answer in {self._settings.attempts} attempts ({problem}): see that it runs, and "
            "run the same command again; what was judged is kept."
        )

    def _read(self, response: httpx.Response) -> Answer:
        if response.status_code in (401, 403):
            raise EndpointError(
                f"{self._address} refuses the key ({response.status_code}): name the environment variable that holds a "
                "valid one with --endpoint-key."
            )
        if response.status_code != 200:
            raise EndpointError(
                f"{self._address} answered {response.status_code}: {quoted(response.text.strip(), 200)}. Look at the "
                f"address and at the model's name, {quoted(self._settings.model or '')}."
            )
        try:
            told = response.json()
            text = told["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError) as error:
            raise EndpointError(
                f"{self._address} does not answer as chat completions do: {quoted(response.text.strip(), 200)}. Give "
                "the base address of such an endpoint, which often ends in /v1."
            ) from error
        return Answer(text=text if isinstance(text, str) else "", model=str(told.get("model", self._settings.model)))


def data_url(image: Image.Image) -> str:
    """The image as PNG in a data URL, without metadata."""
    buffer = io.BytesIO()
    Image.frombytes("RGB", image.size, image.tobytes()).save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _asked_to_wait(response: httpx.Response) -> float:
    """The seconds that the server asks for, not more than a minute; 0 where it says nothing that can be read."""
    try:
        return min(_LONGEST_WAIT_S, max(0.0, float(response.headers.get("Retry-After", "0"))))
    except ValueError:
        return 0.0
