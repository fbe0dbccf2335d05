"""Secrets and personal data to plant, and harmless look-alikes, each made at run time out of a seed.

A variety is a template: `«»` encloses what must be gone, `{a36}` asks for 36 random characters of a class
(see `_CLASSES`), `{name}` and its like for what only code can make (a card number with its check digit); `¦` is
where a line is wrapped, and `html⟦...⟧` encloses what is written in escapes (`_ESCAPES`). No secret is written here,
and what is made belongs to nobody.
"""

import base64
import html
import json
import random
import re
import string
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote

import phonenumbers
from stdnum import iban, luhn
from stdnum.us import rtn


class Sample(NamedTuple):
    """A short text with a secret in it, or with something that only looks like one."""

    kind: str
    """The placeholder's type; of a look-alike: the type that it could be taken for."""
    template: str
    text: str
    secret: str = ""
    """What must be gone, empty for look-alikes."""
    parts: tuple[str, ...] = ()
    """Parts of it none of which may be left either, where it is wrapped or escaped."""


_LOWER, _UPPER, _DIGITS = string.ascii_lowercase, string.ascii_uppercase, string.digits
_CLASSES = {
    "a": _LOWER + _UPPER + _DIGITS,
    "b": _LOWER + _UPPER + _DIGITS + "-_",
    "B": _LOWER + _UPPER + _DIGITS + "+/",
    "h": "0123456789abcdef",
    "d": _DIGITS,
    "e": "123456789",
    "l": _LOWER,
    "u": _UPPER + "234567",
    "U": _UPPER + _DIGITS,
    "w": _LOWER + _DIGITS,
}
_HOLE = re.compile(r"\{([a-zA-Z_]+?)(\d*)\}")


def planted(seed: int) -> list[Sample]:
    """One sample of every variety of secret; each by its own chance, so that one more changes no other."""
    return [
        _sample(random.Random(f"{seed} {template}"), kind, template)
        for kind, templates in SECRETS.items()
        for template in templates
    ]


def look_alikes(seed: int) -> list[Sample]:
    """One sample of every variety of look-alike."""
    return [
        Sample(kind, template, _written(_fill(random.Random(f"{seed} {template}"), template)))
        for kind, templates in LOOK_ALIKES.items()
        for template in templates
    ]


def _sample(rng: random.Random, kind: str, template: str) -> Sample:
    filled = _fill(rng, template)
    before, _, rest = filled.partition("«")
    secret, _, after = rest.partition("»")
    escape = _ESCAPED.match(filled)
    if escape:
        said = secret
        secret = _ESCAPES[escape[1]](said)
        said_parts = (said[at : at + _PART] for at in range(0, len(said) - _PART + 1, _PART))
        pieces = [_ESCAPES[escape[1]](part) for part in said_parts if part not in kind]
        return Sample(kind, template, _written(filled.replace("«", "").replace("»", "")), secret, tuple(pieces))
    pieces = secret.split("¦") if "¦" in secret else []
    return Sample(kind, template, _written(before + secret + after), secret.replace("¦", _WRAP), tuple(pieces))


_PART = 6
_WRAP = "\n    "
_ESCAPED = re.compile(r"([a-z_]+)⟦(.*)⟧", re.DOTALL)


def _each(write: str, all_of_it: bool = False) -> Callable[[str], str]:
    """Writes characters that are neither letters nor digits, or all, by a format of their code."""
    return lambda text: "".join(
        write.format(ord(character)) if all_of_it or not character.isalnum() else character for character in text
    )


_ESCAPES: dict[str, Callable[[str], str]] = {
    "html": html.escape,
    "html_number": _each("&#{};"),
    "html_hex": _each("&#x{:x};"),
    "json": _each("\\u{:04x}"),
    "json_all": _each("\\u{:04x}", all_of_it=True),
    "hex": _each("\\x{:02x}"),
    "hex_all": _each("\\x{:02x}", all_of_it=True),
    "percent": lambda text: quote(text, safe=""),
    "percent_all": _each("%{:02X}", all_of_it=True),
}


def _written(filled: str) -> str:
    """A filled template as a log holds it: wrapped and escaped."""
    return _ESCAPED.sub(lambda match: _ESCAPES[match[1]](match[2]), filled).replace("¦", _WRAP)


def _fill(rng: random.Random, template: str) -> str:
    def fill(match: re.Match[str]) -> str:
        name, count = match[1], match[2]
        if not count:
            return _MAKERS[name](rng) if name in _MAKERS else match[0]
        letters = _CLASSES[name]
        while True:
            made = "".join(rng.choice(letters) for _ in range(int(count)))
            # A key of its length without one digit and one letter is as good as never issued.
            if len(made) < 12 or letters.isdecimal() or (re.search(r"\d", made) and re.search(r"[a-zA-Z]", made)):
                return made

    return _HOLE.sub(fill, template)


# --- what only code can make ----------------------------------------------------------------------


def _name(rng: random.Random) -> str:
    """A name that nobody has."""
    return "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(rng.randint(2, 3))) + rng.choice(
        "lnrsx"
    )


def _password(rng: random.Random) -> str:
    made = [rng.choice(_LOWER + _UPPER) for _ in range(9)] + [rng.choice(_DIGITS), rng.choice("!#%^*_-+")]
    rng.shuffle(made)
    return rng.choice(_LOWER) + "".join(made) + rng.choice(_DIGITS)


def _word_password(rng: random.Random) -> str:
    return "".join(rng.choice(_LOWER) for _ in range(12))


def _card(rng: random.Random, prefix: str, length: int, groups: tuple[int, ...] = (), mark: str = "") -> str:
    number = prefix + "".join(rng.choice(_DIGITS) for _ in range(length - len(prefix) - 1))
    number += luhn.calc_check_digit(number)
    parts, at = [], 0
    for group in groups or (length,):
        parts.append(number[at : at + group])
        at += group
    return mark.join(parts)


def _iban(rng: random.Random, country: str, bban: str) -> str:
    body = _fill(rng, bban).upper()
    return country + iban.calc_check_digits(f"{country}00{body}") + body


def _grouped(value: str) -> str:
    return " ".join(value[at : at + 4] for at in range(0, len(value), 4))


def _routing(rng: random.Random) -> str:
    number = "0" + "".join(rng.choice("123") + rng.choice(_DIGITS) for _ in range(4))[:7]
    return number + rtn.calc_check_digit(number)


def _phone(rng: random.Random, region: str, style: int) -> str:
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    assert example is not None, region
    while True:
        national = str(example.national_number)[:-5] + "".join(rng.choice(_DIGITS) for _ in range(5))
        number = phonenumbers.PhoneNumber(example.country_code, int(national))
        if phonenumbers.is_valid_number(number):
            return str(phonenumbers.format_number(number, style))


def _phones(style: int, *regions: str) -> Callable[[random.Random], str]:
    return lambda rng: _phone(rng, rng.choice(regions), style)


def _ip(rng: random.Random) -> str:
    return ".".join(
        str(part) for part in (rng.choice((5, 31, 46, 77, 93, 185)), *(rng.randint(20, 250) for _ in "abc"))
    )


def _jwt(rng: random.Random) -> str:
    parts = {"alg": "HS256", "typ": "JWT"}, {"sub": _fill(rng, "{d10}"), "iat": rng.randint(1, 10**9)}
    encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return ".".join((*encoded, _fill(rng, "{b43}")))


def _basic(rng: random.Random) -> str:
    return base64.b64encode(f"{_name(rng)}:{_password(rng)}".encode()).decode()


def _cut(value: str, length: int) -> str:
    return "¦".join(value[at : at + length] for at in range(0, len(value), length))


def _pem(rng: random.Random, kind: str, end: str = "\n") -> str:
    body = end.join(_fill(rng, "{B64}") for _ in range(6))
    return f"-----BEGIN {kind}-----{end}{body}{end}-----END {kind}-----"


_KEY = "PRIVATE " + "KEY"
_SEEDS = [
    "abandon", "gravity", "lunar", "orphan", "velvet", "pigeon", "cactus", "mystery", "saddle", "tunnel", "window",
    "zebra", "copper", "fabric", "harvest", "insect", "jungle", "kitten", "lizard", "magnet", "napkin", "oyster",
]  # fmt: skip
_International, _National = phonenumbers.PhoneNumberFormat.INTERNATIONAL, phonenumbers.PhoneNumberFormat.NATIONAL
_E164 = phonenumbers.PhoneNumberFormat.E164
_EUROPE = ("DE", "FR", "GB", "IT", "ES", "NL", "PL", "SE")
_WORLD = (*_EUROPE, "IN", "BR", "JP", "AU", "ZA", "MX", "TR", "KE")
_MAKERS: dict[str, Callable[[random.Random], str]] = {
    "name": _name,
    "Name": lambda rng: _name(rng).title(),
    "pw": _password,
    "wordpw": _word_password,
    "visa": lambda rng: _card(rng, "4", 16, (4, 4, 4, 4), " "),
    "visa_plain": lambda rng: _card(rng, "4", 16),
    "mastercard": lambda rng: _card(rng, rng.choice(("51", "55", "2221", "2720")), 16, (4, 4, 4, 4), "-"),
    "amex": lambda rng: _card(rng, "37", 15, (4, 6, 5), " "),
    "discover": lambda rng: _card(rng, "6011", 16),
    "unionpay": lambda rng: _card(rng, "62", 16, (4, 4, 4, 4), " "),
    "diners": lambda rng: _card(rng, "36", 14, (4, 6, 4), " "),
    "iban_de": lambda rng: _grouped(_iban(rng, "DE", "{d18}")),
    "iban_gb": lambda rng: _iban(rng, "GB", "{l4}{d14}"),
    "iban_nl": lambda rng: _grouped(_iban(rng, "NL", "{l4}{d10}")),
    "iban_at": lambda rng: _iban(rng, "AT", "{d16}"),
    "iban_ch": lambda rng: _grouped(_iban(rng, "CH", "{d17}")),
    "iban_pl": lambda rng: _iban(rng, "PL", "{d24}"),
    "routing": _routing,
    "phone": _phones(_International, *_WORLD),
    "phone_plain": _phones(_E164, *_WORLD),
    "phone_national": _phones(_National, *_EUROPE),
    "phone_us": _phones(_National, "US"),
    "ip": _ip,
    "jwt": _jwt,
    "basic": _basic,
    "jwt_wrapped": lambda rng: _cut(_jwt(rng), 50),
    "basic_wrapped": lambda rng: _cut(_basic(rng), 16),
    "pem_rsa": lambda rng: _pem(rng, "RSA " + _KEY),
    "pem": lambda rng: _pem(rng, _KEY),
    "pem_ssh": lambda rng: _pem(rng, "OPENSSH " + _KEY),
    "pem_ec": lambda rng: _pem(rng, "EC " + _KEY),
    "pem_escaped": lambda rng: _pem(rng, _KEY, "\\n"),
    "pgp": lambda rng: _pem(rng, f"PGP {_KEY} BLOCK"),
    "cert": lambda rng: _pem(rng, "CERTIFICATE"),
    "public": lambda rng: _pem(rng, "PUBLIC " + "KEY"),
    "seed": lambda rng: " ".join(rng.choice(_SEEDS) for _ in range(rng.choice((12, 24)))),
    "prose": lambda rng: " ".join(
        rng.choice(("and", "of", "the", "written", "paper", "is", "backup")) for _ in range(12)
    ),
}
# --- the varieties --------------------------------------------------------------------------------

SECRETS: dict[str, tuple[str, ...]] = {
    "AWS_KEY": (
        "AWS_ACCESS_KEY_ID=«AKIA{u16}»\n", "the key «ASIA{u16}» expires", '"AccessKeyId": "«AKIA{u16}»",',
        "AWS_ACCESS_KEY_ID=«AKIA{U7}¦{U9}»\n", "json⟦AWS_ACCESS_KEY_ID=«AKIA{U16}»⟧", "«ACCA{u16}»",
        "hex_all⟦«AKIA{U16}»⟧",
    ),
    "API_KEY": (
        "'apikey' => '«{h32}»',", 'the api key is «{a32}»', 'run --api-key=«{a32}» x',
        'Ocp-Apim-Subscription-Key: «{h32}»\n', 'stripe.api_key = "«sk_test_{a24}»"', 'user "api:«key-{h32}»"',
        'OPENAI_KEY=«{a40}»\n', "const KEY = '«{a40}»';", "«sk-ant-api03-{b93}AA»", "«sk-proj-{b74}T3BlbkFJ{b74}»",
        "«sk-{a20}T3BlbkFJ{a20}»", "«sk-or-v1-{h64}»", "«AIza{b35}»", "«sk_live_{a24}»", "«rk_live_{a24}»",
        "«whsec_{a32}»", "«SG.{b22}.{b43}»", "«gsk_{a52}»", "«SK{h32}»", "«{h32}-us{e1}»", "«xai-{a80}»",
        "«r8_{a37}»", "«tvly-{a32}»", "«pplx-{a48}»", "«nvapi-{b64}»", "«lin_api_{a40}»", "«ntn_{a46}»",
        "«figd_{b40}»", "«PMAK-{h24}-{h34}»", "«NRAK-{U27}»", "«re_{a8}_{a24}»", "«key-{h32}»", "«LTAI{a20}»",
        "«sb_secret_{b31}»", "«AGE-SECRET-KEY-1{u58}»", "«pul-{h40}»", "«phx_{a43}»",
        "AccountKey=«{B86}==»;EndpointSuffix=core", "OPENWEATHER_API_KEY=«{h32}»\n", "'x-api-key': '«{a40}»'",
        "aws_secret_access_key = «{B40}»\n", "«AKIA{u16}»,{a1}", '"SecretAccessKey": "«{B40}»"',
        "const apiKey = '«{h8}-{h4}-{h4}-{h4}-{h12}»';", "apiKey: «{a32}»\n",
        "https://api.site.io/v1?api_key=«{h32}»&q=1", "https://maps.site.io/js?key=«{a39}»",
        "encryption-key: «{B43}=»\n", "access key AKIA{u16}, secret «{B40}»\n",
        "curl -H 'X-Api-Key: «{a32}»' https://site.io", "export DATADOG_API_KEY='«{h32}»'\n",
        "ENV ALGOLIA_ADMIN_KEY «{h32}»\n", "SECRET_KEY = '«{w50}»'\n",
        "export ANTHROPIC_API_KEY=«sk-ant-api03-{b40}¦{b53}»\n", "OPENAI_API_KEY=«sk-proj-{b50}¦{b50}¦{b40}»\n",
        "the key is «AIza{b15}¦{b20}» as you see", 'html⟦"api_key": "«{a40}»"⟧', "html_number⟦«sk-ant-api03-{b60}»⟧",
        "html_hex⟦api_key=«{a40}»⟧", "json⟦«sk-proj-{b60}»⟧", "json_all⟦«sk-ant-api03-{b40}»⟧", "hex⟦«xai-{a80}»⟧",
        "percent⟦https://site.io/x?api_key=«{B40}»⟧", "percent_all⟦«gsk_{a52}»⟧",
        "«lsv2_pt_{h32}_{h10}»", "«sk-lf-{h8}-{h4}-{h4}-{h4}-{h12}»", "«pcsk_{a60}»", "«apify_api_{a36}»",
        "«rnd_{a28}»",
        "«e2b_{h40}»", "«sk_{h48}»", "«csk-{w48}»", "the private key: «0x{h64}»\n",
    ),
    "TOKEN": (
        '"token":"«{h40}»"', 'GITHUB_TOKEN: «{a40}»\n', 'https://x-access-token:«ghs_{a36}»@github.com/a/b',
        "curl -b 'session=«{a40}»' https://site.io", 'Authorization: ApiKey «{b44}1»\n',
        'cookie: PHPSESSID=«{w26}»\n', 'TELEGRAM_BOT_TOKEN=«{e9}:AA{b33}»\n', '::add-mask::«{a40}»',
        'bot token «{a40}»\n', "«ghp_{a36}»", "«gho_{a36}»", "«ghs_{a36}»", "«github_pat_{a22}_{a59}»",
        "«glpat-{b20}»", "«xoxb-{d12}-{d12}-{a24}»", "«xoxp-{d12}-{d12}-{d12}-{h32}»", "«npm_{a36}»", "«hf_{a34}»",
        "«pypi-AgEIcHlwaS5vcmc{b80}»", "«{e9}:AA{b33}»", "https://hooks.slack.com/services/«T{U8}/B{U10}/{a24}»",
        "«MT{a22}.{b6}.{b27}»", "«ya29.{b60}»", "«dop_v1_{h64}»", "«shpat_{h32}»", "«glsa_{a32}_{h8}»",
        "«dckr_pat_{b27}»", "«hvs.{b90}»", "«dapi{h32}»", "«sbp_{h40}»", "«rubygems_{h48}»", "«ATATT3xFfGF0{b180}»",
        "«CCIPAT_{a22}_{h40}»", "«tskey-auth-{a17}-{a32}»", "«pat-na1-{h8}-{h4}-{h4}-{h4}-{h12}»", "«1//0{b64}»",
        "«sntryu_{h64}»", "«EAAC{a120}»", "«{a14}.atlasv1.{b64}»", "«dp.pt.{a43}»", "«bkua_{h40}»",
        "https://discord.com/api/webhooks/{d18}/«{b68}»", '"refresh_token": "«{a50}»"',
        "Authorization: Bearer «{a40}»\n", "deploy --token «{a40}» --prod",
        "curl -H \"Authorization: token «{h40}»\" https://site.io", "AUTH_TOKEN=«{a32}»\n",
        "Cookie: theme=dark; sessionid=«{w32}»\n", "Set-Cookie: connect.sid=«s%3A{b32}.{a43}»; Path=/; HttpOnly\n",
        "https://site.io/reset?token=«{a40}»", "//registry.npmjs.org/:_authToken=«{h8}-{h4}-{h4}-{h4}-{h12}»\n",
        "https://acc.blob.core.windows.net/c?sv=2022-11-02&sig=«{a43}%3D»", "access_token: «{b60}»\n",
        "X-Auth-Token: «{h48}»\n", "session token is «{a40}»",
        "git clone failed with «ghp_{a20}¦{a16}»\n", "Authorization: Bearer «{a40}¦{a40}¦{a20}»\n",
        'export DEPLOY_TOKEN_OF_THE_WHOLE_TEAM="«{B50}¦{B40}»"', "json⟦«glpat-{b20}»⟧", "hex⟦«xoxb-{d12}-{d12}-{a24}»⟧",
        "html_number⟦token: «github_pat_{a22}_{a59}»⟧", "percent⟦https://site.io/cb?access_token=«{B40}»&x=1⟧",
        "html⟦https://site.io/cb?a=1&token=«{a40}»&x=1⟧",
        "«pscale_tkn_{a43}»", "«pscale_pw_{a43}»", "«nfp_{a36}»", "«fo1_{a43}»", "«secret_{a43}»",
        "«sk.eyJ{a50}.{a22}»",
        "X-Vault-Token: «s.{a24}»\n", 'echo "::add-mask::«{a40}»"',
    ),
    "JWT": (
        "«{jwt}»", "Authorization: Bearer «{jwt}»", '{"id_token":"«{jwt}»"}', "Cookie: auth=«{jwt}»; a=b",
        "percent⟦«{jwt}»⟧", "json⟦«{jwt}»⟧", "the id token is «{jwt_wrapped}»\n",
    ),
    "PRIVATE_KEY": (
        "«{pem_rsa}»", "«{pem}»", "«{pem_ssh}»", "«{pem_ec}»", "«{pgp}»", "KEY=\"«{pem_escaped}»\"",
        '{"type": "service_account", "private_key": "«{pem_escaped}»\\n"}',
        "percent⟦«{pem}»⟧", "json⟦«{pem_escaped}»⟧",
    ),
    "PASSWORD": (
        'pw: «{pw}»\n', 'login admin / «{pw}»\n', 'credentials: admin:«{pw}»\n', "pass = '«{pw}»'",
        "echo '«{pw}»' | sudo -S ls", "'password' => '«{pw}»',", 'password is: «{pw}»\n', 'the password is `«{pw}»`',
        'password **«{pw}»**', 'Password for app: «{pw}»\n', 'ansible_ssh_pass=«{pw}»\n',
        'spring.datasource.password=«{pw}»\n', 'net user bob «{pw}» /add', 'username=a&password=«{pw}»&x=1',
        '"pwd":"«{pw}»"', 'unzip -P «{pw}» a.zip', 'openssl enc -k «{pw}»', 'PASS «{w10}»\n', "DB_PASSWORD=«{pw}»\n",
        "PGPASSWORD=«{pw}» psql -h db", 'password: "«{pw}»"', "password: «{pw}»\n", "the password is «{pw}».",
        "mysql --password «{pw}» db", "mysql -u root -p«{pw}» shop", "<password>«{pw}»</password>",
        "export ADMIN_PASSWORD='«{pw}»'\n", "Server=db;User Id=sa;Password=«{pw}»;Encrypt=yes",
        "CREATE USER app WITH PASSWORD '«{pw}»';", "CREATE USER 'a'@'%' IDENTIFIED BY '«{pw}»';",
        "sshpass -p '«{pw}»' ssh root@10.0.0.4", "redis-cli -h 10.0.0.3 -a «{pw}» ping",
        "docker login -u ci -p «{pw}» reg.io", "machine api.site.io login ci password «{pw}»\n",
        "jdbc:postgresql://10.0.0.4/db?user=a&password=«{pw}»", "$env:DB_PASSWORD = \"«{pw}»\"",
        "password = '«{pw}»'  # change later", "requirepass «{pw}»\n", "my password: «{wordpw}»\n",
        "DB_PASS=«{wordpw}»\n", "I log in with «{pw}» there", "- name: MYSQL_ROOT_PASSWORD\n  value: «{pw}»\n",
        "pwd=«{pw}»;", "passphrase: «{pw}»\n", 'db.connect("10.0.0.3", password="«{pw}»")', "Passwort: «{pw}»\n",
        "contraseña: «{pw}»\n", "mot de passe : «{pw}»\n",
        'html⟦"password": "«{pw}»"⟧', "html_number⟦password=«{pw}»⟧", 'json⟦{"db_password": "«{pw}»"}⟧',
        "hex⟦password = '«{pw}»'⟧", "percent⟦user=a&password=«{pw}»&x=1⟧",
        "user: {name}, pass: «{pw}»\n", "you can sign in with «{pw}».", "htpasswd -b .htpasswd {name} «{pw}»",
        'smtp.login("{name}", "«{pw}»")',
        "echo '{name}:«{pw}»' | sudo chpasswd", "mongosh -u {name} -p «{pw}» db",
        "openssl rsa -in a.pem -passin pass:«{pw}»",
    ),
    "SECRET": (
        '"app_secret": "«{h32}»"', 'oauth.client.secret=«{a40}»\n', 'webhook secret: «{h40}»\n',
        "client_secret: «GOCSPX-{b28}»\n", "JWT_SECRET=«{a48}»\n", '"clientSecret": "«{b3}8Q~{b34}»"',
        "NEXTAUTH_SECRET=«{B43}=»\n", "seed phrase: «{seed}»\n", "MNEMONIC=\"«{seed}»\"\n",
        "signing secret «{h32}»\n",
        "html_number⟦client_secret: «GOCSPX-{b28}»⟧", 'json⟦"app_secret": "«{a32}»"⟧',
    ),
    "URL_CREDENTIALS": (
        "postgres://«{name}:{pw}»@db.internal:5432/x", "mongodb+srv://«{name}:{a16}»@cluster0.ab1cd.mongodb.net/x",
        "redis://«:{a24}»@10.0.0.3:6379/0", "amqp://«{name}:{pw}»@mq:5672/%2f",
        "https://«{name}:{a20}»@git.site.io/a/b.git", "https://«oauth2:glpat-{b20}»@gitlab.com/a/b.git",
        "curl -u «{name}:{pw}» https://api.site.io", "curl --user '«{name}:{pw}»' https://api.site.io",
        "Authorization: Basic «{basic}»\n", '"auth": "«{basic}»"', "mysql+pymysql://«{name}:{pw}»@10.0.0.2/shop",
        "ftp://«{name}:{a10}»@ftp.site.io",
        "html⟦postgres://«{name}:{a6}&{a9}»@db.internal:5432/x⟧", "percent⟦redis://«{name}:{a16}»@10.0.0.3:6379/0⟧",
        "html_number⟦https://«{name}:{a20}»@git.site.io/a/b.git⟧", "json⟦https://«{name}:{a20}»@git.site.io/a/b.git⟧",
        "Authorization: Basic «{basic_wrapped}»\n",
    ),
    "EMAIL": (
        '{Name} {Name} <«{name}@{name}.edu»>; x', 'signed-off-by: «{name}.{name}@{name}.dev»',
        '«{name}@{name}.{name}.com.au»', 'write to «{name} at {name} dot com»', "«{name}.{name}@{name}.com»",
        "«{name}+news@{name}.co.uk»", "mail <«{name}@{name}.io»> now", "mailto:«{name}_{d3}@{name}.de»",
        "Author: {Name} {Name} <«{name}@{name}.org»>", '"email":"«{name}{d2}@gmail.com»"',
        "?to=«{name}%40{name}.net»&x=1", "«{Name}@{name}.museum»", "reply to «{name}-{name}@mail.{name}.fr», please",
        "https://x.io/@a?e=«{name}@{name}.com»",
        "html_number⟦mail «{name}.{name}@{name}.com» now⟧", "json⟦«{name}.{name}@{name}.com»⟧",
        "hex⟦«{name}@{name}.io»⟧", "html⟦{Name} <«{name}@{name}.org»>⟧",
        "«{name}.{name} [at] {name} [dot] org»", "«{name}(at){name}.net»",
    ),
    "PHONE": (
        'Tel: «+49 (0)30 9018 20{d2}»', 'fax «{phone_national}»', "'mobile' => '«{phone_national}»'",
        "call «{phone}» now", "«{phone_plain}»", "tel:«{phone_plain}»", "{Name}: «{phone}»", "«{phone_us}»",
        "1-«{phone_us}»", '"phone": "«{phone_national}»"', "Tel. «{phone_national}»\n",
        "mobile number: «{phone_national}»\n", "call me at «{phone_national}»", "WhatsApp «{phone_plain}»",
        "it was «{phone_national}» I think",
        "percent⟦tel=«{phone_plain}»⟧", "json⟦«{phone}»⟧",
    ),
    "CARD": (
        "«{visa}»", "«{visa_plain}»", "card «{mastercard}» exp 04/29", "«{amex}»", '"number": "«{discover}»"',
        "«{unionpay}»", "«{diners}»",
        "percent⟦card=«{visa}»⟧", "json⟦«{mastercard}»⟧",
    ),
    "IBAN": (
        "«{iban_de}»", "IBAN «{iban_gb}»,", "«{iban_nl}»", '"iban":"«{iban_at}»"', "«{iban_ch}» BIC X",
        "pay to «{iban_pl}»",
    ),
    "BANK": (
        "routing number «{routing}»", "account number: «{d10}»\n", '"bank_account": "«{d12}»"',
        "Sort code: «{d2}-{d2}-{d2}»\n",
    ),
    "IP": (
        'Client IP: «{ip}»\n', "['«{ip}»']", '{e1}d ago from «{ip}»', "from «{ip}» port 22", "«{ip}»:8443",
        "http://«{ip}»/x", "host «2a02:8109:{h4}:{e1}{h3}:{e1}{h3}:{e1}{h3}:{e1}{h3}:{e1}{h3}» up",
        "[«2606:4700:{h4}::{e1}{h3}»]:443", "ssh {name}@«{ip}»", "inet6 «2003:e{h1}:{e1}{h3}:{e1}{h3}::{e1}»/64",
        "html_number⟦from «{ip}» port 22⟧", "percent_all⟦«{ip}»⟧",
        "IP address «12.{e1}.13.{e1}» blocked",
    ),
    "USER": (
        'USER=«{name}»\n', '«{name}»@macbook:~$ ls', 'sudo chown -R «{name}»:staff .', '/Users/«{name}»',
        'D:\\Users\\«{Name}»\\', 'sshfs /Volumes/home/«{name}»/x', "cd /Users/«{name}»/code", "ls /home/«{name}»\n",
        "C:\\Users\\«{Name}»\\Desktop", "C:/Users/«{Name}»/x", "~/.claude/projects/-Users-«{name}»-code-app/1.jsonl",
        "/mnt/c/Users/«{name}»/code", "file:///home/«{name}»/a.py", "\\\\wsl$\\Ubuntu\\home\\«{name}»\\x",
        "/var/home/«{name}»/x", "rsync a host:/home/«{name}»/b", "cwd=/Users/«{name}.{name}»/x",
        "HOME=/home/«{name}»\n", "/export/home/«{name}»/x", "-rw-r--r--  1 «{name}»  staff  120 May  3 10:12 a.txt",
        "percent⟦/Users/«{name}»/code⟧", "json⟦/home/«{name}»/a.py⟧", "html_hex⟦/Users/«{name}»/code⟧",
        "ls /nfs/home/«{name}»/x", "cd /private/home/«{name}»\n", "/Volumes/Macintosh HD/Users/«{name}»/code",
        "uid=501(«{name}») gid=20(staff)", "vscode://file/Users/«{name}»/code",
    ),
}  # fmt: skip
LOOK_ALIKES: dict[str, tuple[str, ...]] = {
    "AWS_KEY": (
        "AKIAIOSFODNN7EXAMPLE", "ASIA{U20}{l3}", "AKIA_REGION_{d4}", "arn:aws:iam::{d12}:role/x",
        "AKIA\n{U16}", "list of AKIA\n    {name}{d4}", "percent⟦AKIA REGION {d4}⟧",
    ),
    "API_KEY": (
        'OPENAI_KEY=\n', 'keyboard = {d8}', '--api-key=$KEY', 'KEY_{U12}=1', "sk-xxxxxxxxxxxxxxxxxxxxxxxx",
        "API_KEY=your-api-key-here", "api_key = process.env.API_KEY", "sk-loading-spinner-large",
        "api_key_name: my-service-2024-01", "cache_key: {h32}", "primary_key={d14}", "apiKey: ${API_KEY}",
        "key={h8}-{h4}-{h4}-{h4}-{h12}", "commit {h40}", "md5 {h32}", "sha256:{h64}",
        "\"integrity\": \"sha512-{B86}==\"", "toolu_01{a22}", "call_{a24}", "msg_01{a22}", "req_011{a21}",
        "chatcmpl-{a29}", "data:image/png;base64,iVBORw0KGgo{B120}", "fingerprint {h2}:{h2}:{h2}:{h2}",
        "const apiKey = getApiKey(config);", "key: item.key.toString()", "partition_key: customer_id",
        "sk_test_placeholder", "build {h12}-{d6}", "S3 key photos/{d4}/{d2}/{h16}.jpg",
        "foreign key (order_{d3}) references t", "re_compile_all_the_patterns_2",
        "Idempotency-Key: {h8}-{h4}-{h4}-{h4}-{h12}", "keyCode: 13", "pk_fields = ['id_{d8}']",
        "react key={`row-${id}`}", "task-{w20}", "API_KEY_LENGTH=32", "hotkey: ctrl+shift+{e1}",
        "uses: actions/checkout@{h40}", '"private_key_id": "{h40}",', "pkg:npm/x@{e1}.{e1}.0",
        "AC\n{h32}", "SK\n    {h32}", "the function is called re_compile_all_\nthe_patterns_{d4}_at_once",
        "figd_something_like_this_here\nanother_function_of_some_length_{e1}", "see task-{w20}\n{h40}",
        "html⟦\"api_key\": \"\"⟧", "html⟦API_KEY=<your key>⟧", "json⟦api_key = process.env.API_KEY⟧", "hex_all⟦{a40}⟧",
        "percent⟦commit={h40}&key=row-{d2}⟧", "hotkey\n{a40}", "percent_all⟦{h40}⟧", "json_all⟦{name} {name}⟧",
        "api_key: process.env.SERVICE_API_KEY_OF_THE_TEAM\n{a40}",
        "the private key: server-key-{d4}.pem", "private key in {h64}.txt", "risk_{h48}", "rnd_" + "abcdefg" * 4,
        "secret_" + "abcdefg" * 7, "tx hash: 0x{h64}",
    ),
    "TOKEN": (
        'session={d4}', "token: 'string'", "max_tokens: 4096", '"token_count": 123456789012', "tokens={d6}",
        "token: $TOKEN", "Bearer authentication", "ghp_xxxxxxxxxxxxxxxxxxxx", 'token = os.environ["GITHUB_TOKEN"]',
        "Authorization: Bearer <token>", "Authorization: Bearer ${TOKEN}", "the token is invalid",
        "next_page_token: null", "token_type: bearer", "--token \"$(cat token.txt)\"", "github.com/o/r/commit/{h40}",
        "{h8}-{h4}-4{h3}-a{h3}-{h12}", "hf_hub_download_with_retries(x)",
        "npm_config_registry_mirror_for_the_whole_team=1", "eos_token_id: 151645", "token = next(tokens)",
        "xoxb-your-token", "Cookie: theme=dark; lang=en", "https://site.io/?session_type=weekly_{d4}",
        "CSRF token missing or incorrect", "sha256-{B43}=", "docker pull x@sha256:{h64}",
        "session {h8}-{h4}-{h4}-{h4}-{h12}", "thread_{a24}", "rollout-2025-10-02T10-12-{d2}-{h8}",
        "etag: W/\"{h32}\"", "request-id: {h8}-{h4}-{h4}-{h4}-{h12}", "trace 00-{h32}-{h16}-01",
        "prompt_tokens: {d5}", "tokenizer: {name}-v{e1}", "token = self.tokens[i{e1}]", "index {h7}..{h7} 100644",
        "blob {h40}\t{name}.py", "go.sum h1:{B43}=", "video id {b11}",
        "percent⟦https://site.io/?next=/a b/c&max_tokens=4096⟧", "html⟦<a href=\"?page_token=&x=1\">⟧",
        "json⟦{\"token\": null}⟧", "the lines end with ghp_\n{a36}", "tokenizer: {name}\n{h40}",
        "hex⟦\\x1b[0m {name}⟧",
        "token: s.{name}", "X-Vault-Token: vault.token", "::add-mask::$TOKEN", "::add-mask::${{ steps.a.outputs.b }}",
        "pscale_password",
    ),
    "JWT": (
        "eyJub3QiOiJhIGp3dCJ9", "eyJ.x.y", "{a30}.{a30}.{a40}", "org.apache.{name}.{Name}Factory.{name}",
        "eyJub3QiOiJhIGp3dCJ9\n{a30}{e1}", "percent⟦{a30}.{a30}.{a40}⟧",
    ),
    "PRIVATE_KEY": (
        "{cert}", "{public}", "-----BEGIN RSA " + _KEY + "-----", "ssh-ed25519 AAAA{B64} {name}",
        "-----BEGIN " + _KEY + "----- ...",
        "percent⟦{public}⟧",
    ),
    "PASSWORD": (
        'pw = 12px', 'net user', 'password is: required', 'Password for app:', 'pass through2 it',
        "password=<password>", "PASSWORD=${DB_PASSWORD}", "password: string", '"password": {"type": "string"}',
        "password = get_password()", "const password = user.password;", "--- PASS: TestLogin{e1} (0.00s)",
        "password: ********", "password = getpass()", "password_hash_rounds=12", "if password != confirm_password:",
        "password: process.env.DB_PASSWORD", "password must be at least 8 characters", "passed={d3}",
        "bypass: node_{d4}", "pass the result2 on", "password field{e1} is empty", "password = self.passwords[{e1}]",
        "reset_password_url=/reset/{d4}", "<input type=\"password\" id=\"pw{e1}\">", "PWD=/srv/app{e1}",
        "compass: north2east", "mkdir -p build{d2}/x", "docker run -p {d4}:{d4} x", "the password is required here",
        "password=\"\"", "password: null", "tests pass: {d3} of {d3}", "password = input('Password: ')",
        "nmap -p 1-{d4} x",
        "html⟦<input type=\"password\" id=\"pw{e1}\">⟧", "html⟦password=<password>⟧", "json⟦password = getpass()⟧",
        "percent⟦/reset?password=⟧", "format(\"%20s %2d password\")", "hex⟦password: string⟧",
        "log in with GitHub2FA", "sign in with OAuth2.0", "login page / HomeScreen2", "openssl enc -k $PASS",
        "openssl req -newkey rsa:{d4}",
        "docker run --name mongo -u 1000:1000 -p 27017:27017 mongo", "htpasswd -c .htpasswd {name}",
        "smtp.login(user, password)",
        "openssl rsa -passin pass:$PASS", "client.login(\"user\", \"password\")",
    ),
    "SECRET": (
        "SECRET_NAME=prod-db-cred-01", "secret: nothing", "the secret is patience",
        "client_secret = config.client_secret", "secretRef: app-secrets", "kubectl get secret app-{d3}",
        "the seed phrase is {prose}", "seed = {d9}", "valueFrom: secretKeyRef", "secrets: inherit",
        "html⟦the secret is \"patience\"⟧", "percent⟦secret=nothing⟧",
    ),
    "URL_CREDENTIALS": (
        "https://user:password@host/x", "http://localhost:3000/@fs/x", "postgres://user:pass@localhost/db",
        "docker run -u 1000:1000 x", "Basic understanding", "git@github.com:org/repo.git",
        "https://x.io:8443/@{name}", "postgres://$USER:$PASS@db/x", "ssh://git@host:22/x",
        "https://medium.com/@{name}/a-{h12}", "curl https://site.io/u:{e1}", "https://{{user}}:{{password}}@host",
        "basic auth is off",
        "html⟦https://x.io/?a=1&b=2@{name}⟧", "percent⟦http://localhost:3000/@fs/x⟧", "json⟦git@github.com:org/repo⟧",
    ),
    "EMAIL": (
        'meet at {name} dot', "{name}@example.com", "noreply@{name}.com", "git@github.com",
        "npm i @types/node@18.0.{e1}", "logo@2x.png", "@app.route('/x')", "@{name}", "import x from '@{name}/ui'",
        "user@localhost", "@pytest.mark.slow", "{name}@{e1}.{e1}.{e1}", "a@b", "root@{h12}:/#", "x@{name}.test",
        "action@v{e1}",
        "html_number⟦{name}@example.com⟧", "json⟦logo@2x.png⟧", "percent⟦@{name}/ui⟧", "100%40{name}",
        "we met at {name} dot", "look at {name} dot com", "index[at] {name}", "call(at)", "the mail is at the top",
    ),
    "PHONE": (
        "555-1234", "2026-05-{e1}3 10:12:{d2}", "17000{d8}", "@@ -12,7 +1234,9 @@", "{d4}-{d2}-{d2}", "order #W{d7}",
        "1-800 people", "12.5 (13.7) 14.9", "+{d4} lines", "ISBN 978-3-16-148410-0", "line {d4}-{d4}", "PR #{d5}",
        "{d3},{d3},{d3}", "0.{d10}", "id {d10}", "telemetry {d9}",
    ),
    "CARD": (
        "1234 5678 9012 3456", "4111111111111112", "ISBN 97831614{d5}", "17{d14}", "item {d10} and {d10}",
        "credit_card_{d7}", "{d4}.{d12}", "tweet_id = {visa_plain}", "1{d18}", "{h8}-{h4}-{h4}",
    ),
    "IBAN": (
        "DE12 3456 and so on", "VIN 1HGCM82633A{d6}", "AB12 CD34 EF56", "FR{d2} {d3}", "GB{d4}X", "SKU NL{d2}ABNA",
    ),
    "BANK": (
        "account {d4} of {d4}", "routing table {d3}", "sort code{e1} by name", "the account manager has {d8} rows",
    ),
    "IP": (
        "10.0.{e1}.{d2}", "192.168.{e1}.{d2}", "127.0.0.1:{d4}", "8.8.8.8", "0.0.0.0", "version 10.0.19041.{e1}",
        "v{e1}.{e1}.{e1}.{e1}", "Chrome/120.0.{e4}.{e2}", "pip install x=={e2}.{e2}.{e1}.{e1}", "2001:db8::{h4}",
        "fe80::1", "::1", "std::vector<int>", "12:{d2}:{d2}", "aa:bb:cc:{h2}:{h2}:{h2}", "172.16.{e1}.1",
        "section {e1}.{e1}.{e1}.{e1}", "203.0.113.{e1}",
        "percent⟦10.0.{e1}.{d2}⟧", "html_number⟦v{e1}.{e1}.{e1}.{e1}⟧",
        "224.0.0.251", "release 23.4.{e1}.67", "AssemblyVersion(\"1.0.30.{d2}\")",
        "upgrade from 21.3.{e1}.5 to 22.1.{e1}.7", "firmware 2.30.40.{e2}",
        "1.2.3.4", "build 22.33.44.{e2} of it", "section 22.31.4.{e1}",
    ),
    "USER": (
        'USER=root\n', 'root@{h12}:/#', 'chown -R root:root x', 'USER = {e1}', 'sudo chown -R www-data:www-data .',
        "https://site.io/home/about", "/home/user/x", "/Users/<name>/x", "/Users/Shared/x", "src/Users/index.ts",
        "/home/runner/work/x", "/home/$USER/x", "app/home/page{e1}.tsx", "C:\\Users\\Public\\x", "~/code",
        "/home/ubuntu/x", "GET /users/{d4}", "/api/Users/{d4}", "pages/home/{name}.vue",
        "percent⟦https://site.io/home/about⟧", "json⟦/home/user/x⟧", "html_number⟦src/Users/index.ts⟧",
        "/nfs/home-page{e1}.html", "/volumes/disk{e1}/data", "app/private/home/{name}.vue",
        "/Volumes/Data/src/Users/{name}.ts",
        "uid=0(root) gid=0(root)", "uid=1000(node)", "uid={d5}",
    ),
}  # fmt: skip
LEFT = frozenset(
    {
        "PASS «{w10}»\n",
        "my password: «{wordpw}»\n",
        "it was «{phone_national}» I think",
        "sshfs /Volumes/home/«{name}»/x",
    }
)
"""Varieties of `SECRETS` that are known to be left where they stand: nothing in or around them tells enough."""
