"""What tokens add to a response is all of it, whatever characters it holds."""

from small_models import unasked_posts

from locum.evaluation.tokens import pieces, response_of
from locum.training.chat_template import Renderer
from locum.types import Row


def test_the_pieces_of_a_response_are_the_response(tiny_renderer: Renderer, rows: list[Row]) -> None:
    several = 0
    for row in [*rows, *unasked_posts()]:
        response = response_of(row, tiny_renderer.encode(row), tiny_renderer)
        assert response.text.startswith(row.response.content)
        parts = pieces(response)
        assert "".join(parts) == response.text
        assert len(parts) == len(response.tokens)
        several += parts.count("")
    assert several, "some characters are several tokens, of which the first alone has the text"
