"""Bytes as NEIS sends them: pages and results, in JSON and in XML."""

from collections.abc import Sequence

import orjson

SUCCESS = "INFO-000"
MESSAGES = {
    SUCCESS: "정상 처리되었습니다.",
    "INFO-200": "해당하는 데이터가 없습니다.",
    "INFO-300": "관리자에 의해 인증키 사용이 제한되었습니다.",
    "ERROR-290": "인증키가 유효하지 않습니다. 인증키가 없는 경우, 홈페이지에서 인증키를 신청하십시오.",
    "ERROR-300": "필수 값이 누락되어 있습니다. 요청인자를 참고 하십시오.",
    "ERROR-310": "해당하는 서비스를 찾을 수 없습니다. 요청인자 중 SERVICE를 확인하십시오.",
    "ERROR-333": "요청위치 값의 타입이 유효하지 않습니다.요청위치 값은 정수를 입력하세요.",
    "ERROR-336": "데이터요청은 한번에 최대 1,000건을 넘을 수 없습니다.",
    "ERROR-337": "일별 트래픽 제한을 넘은 호출입니다. 오늘은 더이상 호출할 수 없습니다.",
    "ERROR-500": "서버 오류입니다. 지속적으로 발생시 홈페이지로 문의(Q&A) 바랍니다.",
    "ERROR-600": "데이터베이스 연결 오류입니다. 지속적으로 발생시 홈페이지로 문의(Q&A) 바랍니다.",
    "ERROR-601": "SQL 문장 오류 입니다. 지속적으로 발생시 홈페이지로 문의(Q&A) 바랍니다.",
}
JSON_TYPE = "application/json;charset=UTF-8"
XML_TYPE = "text/xml;charset=UTF-8"


def json_page(service: str, total: int, rows: Sequence[bytes], code: str = SUCCESS) -> bytes:
    """One page; `rows` are rendered JSON objects."""
    head = b'{"%b":[{"head":[{"list_total_count":%d},%b]},{"row":[' % (
        service.encode(),
        total,
        json_result(code),
    )
    return b"".join((head, b",".join(rows), b"]}]}"))


def json_result(code: str) -> bytes:
    """The bare RESULT of errors and of no data; also the one inside a head."""
    return orjson.dumps({"RESULT": {"CODE": code, "MESSAGE": MESSAGES[code]}})


def xml_page(service: str, total: int, rows: Sequence[bytes]) -> bytes:
    """The same page in XML; values in CDATA, null as an empty element."""
    body = "".join(map(_xml_row, rows))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{service}><head>'
        f"<list_total_count>{total}</list_total_count>{_xml_code(SUCCESS)}</head>"
        f"{body}</{service}>"
    ).encode()


def xml_result(code: str) -> bytes:
    message = _escape(MESSAGES[code])
    return f"<RESULT>\n<CODE>{code}</CODE>\n<MESSAGE>{message}</MESSAGE>\n</RESULT>\n".encode()


def _xml_code(code: str) -> str:
    return f"<RESULT><CODE>{code}</CODE><MESSAGE>{_escape(MESSAGES[code])}</MESSAGE></RESULT>"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _xml_row(row: bytes) -> str:
    fields: dict[str, str | None] = orjson.loads(row)
    return f"<row>{''.join(_xml_field(name, value) for name, value in fields.items())}</row>"


def _xml_field(name: str, value: str | None) -> str:
    if value is None:
        return f"<{name}/>"
    # XML cannot carry NUL at all, and CDATA cannot carry its own end.
    text = value.replace("\x00", "").replace("]]>", "]]]]><![CDATA[>")
    return f"<{name}><![CDATA[{text}]]></{name}>"
