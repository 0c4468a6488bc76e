"""Write the seeds of the demo shop: five CSV files in the shape of the input contract.

The shop is Otterby, which sells tea, coffee and accessories worldwide, and a monthly box by
subscription. Everything is invented: the people, their addresses, the amounts, the responses and
the exchange rates (which are close to real levels).

    python tools/generate_demo_seeds.py            write seeds/raw_*.csv
    python tools/generate_demo_seeds.py --check    exit 1 if the files differ

The output is the same to the byte on every Python from 3.11 and on every platform, because

- all random numbers come from ``random.Random(seed).random()``, the only function whose sequence
  Python guarantees; all others are built on it here (``Dice``);
- each customer has separate dice, so that a change to one does not affect the others;
- only ``+ - * /`` are used, which give the same bits everywhere: no ``math``, no ``**``, no
  ``sum`` of floats (compensated since Python 3.12); money is in whole minor units;
- nothing iterates over a set, and the files are written as bytes.
"""

import argparse
import random
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

SEED = 5
FIRST_DAY = date(2023, 1, 1)
LAST_DAY = date(2026, 1, 15)
OPENED_AT = datetime(2023, 1, 1, tzinfo=UTC)
CLOSED_AT = datetime(2026, 1, 15, 18, tzinfo=UTC)

# --------------------------------------------------------------------------------------
# The shop's world
# --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Country:
    """A market: its number of customers, and how they pay, speak, stay and respond."""

    share: float
    currency: str
    # hours ahead of UTC, without summer time
    utc_offset: int
    # language -> share of it as the main language
    languages: dict[str, float]
    # the probability of a second language from these
    bilingual: float = 0.0
    # more than 1: customers drop out sooner
    dropout: float = 1.0
    # points of NPS score above or below the worldwide average
    mood: float = 0.0
    # weight of the channel store, relative to the other channels
    stores: float = 0.0
    # the summer dip falls in January
    southern: bool = False


COUNTRIES = {
    "DE": Country(15.0, "EUR", 1, {"de": 0.93, "en": 0.04, "tr": 0.03}, 0.1, 0.85, -0.2, 0.6),
    "GB": Country(12.0, "GBP", 0, {"en": 0.97, "pl": 0.02, "cy": 0.01}, 0.03, 1.15, 0.0, 0.6),
    "US": Country(11.0, "USD", -5, {"en": 0.88, "es": 0.12}, 0.1, 1.35, 0.3),
    "FR": Country(9.0, "EUR", 1, {"fr": 0.97, "en": 0.03}, 0.05, 1.0, -0.3),
    "FI": Country(8.5, "EUR", 2, {"fi": 0.88, "sv": 0.09, "en": 0.03}, 0.25, 0.7, 0.2, 1.6),
    "NL": Country(7.0, "EUR", 1, {"nl": 0.94, "en": 0.06}, 0.25, 0.9, -0.1, 0.5),
    "ES": Country(7.0, "EUR", 1, {"es": 0.85, "ca": 0.15}, 0.3, 1.15, 0.1),
    "SE": Country(6.5, "SEK", 1, {"sv": 0.93, "en": 0.04, "fi": 0.03}, 0.15, 0.8, 0.0, 0.7),
    "PL": Country(6.0, "PLN", 1, {"pl": 0.96, "uk": 0.04}, 0.1, 1.1, 0.0),
    "RO": Country(6.0, "RON", 2, {"ro": 0.92, "hu": 0.08}, 0.2, 0.95, 0.35),
    "JP": Country(5.5, "JPY", 9, {"ja": 0.97, "en": 0.03}, 0.0, 0.75, -0.85, 0.4),
    "BR": Country(5.0, "BRL", -3, {"pt": 1.0}, 0.05, 1.4, 0.4, southern=True),
    "IL": Country(4.5, "ILS", 2, {"he": 0.78, "ar": 0.1, "ru": 0.12}, 0.3, 1.05, -0.1),
    "LV": Country(3.5, "EUR", 2, {"lv": 0.72, "ru": 0.28}, 0.4, 0.95, -0.3),
    "NA": Country(2.0, "NAD", 2, {"en": 0.55, "af": 0.3, "de": 0.15}, 0.4, 1.0, 0.2, southern=True),
}

# channel -> share of sign-ups, factor on dropping out, extra satisfaction
CHANNELS = {
    "organic_search": (0.27, 0.95, 0.0),
    "paid_search": (0.21, 1.7, -0.25),
    "social": (0.15, 1.35, -0.1),
    "referral": (0.13, 0.55, 0.4),
    "email": (0.10, 0.85, 0.1),
    "marketplace": (0.10, 1.35, -0.2),
    "store": (0.10, 0.85, 0.3),
}

# Sign-ups and sales by month; in the south the summer dip is half a year away.
SIGNUPS_BY_MONTH = (0.9, 0.85, 0.95, 0.95, 1.0, 0.9, 0.75, 0.75, 1.0, 1.1, 1.45, 1.5)
SALES_NORTH = (0.92, 0.92, 1.0, 1.0, 1.0, 0.9, 0.68, 0.66, 1.0, 1.1, 1.3, 1.45)
SALES_SOUTH = (0.7, 0.78, 0.95, 1.0, 1.0, 1.0, 1.0, 1.0, 1.02, 1.08, 1.3, 1.35)
SALES_BY_WEEKDAY = (0.95, 0.9, 0.9, 0.95, 0.95, 1.1, 1.25)

# Orders by the hour on the customer's wall clock: a small peak at lunch, a large one at night.
HOURS = {
    0: 1.0, 6: 1.5, 7: 3.0, 8: 4.0, 9: 5.0, 10: 5.5, 11: 6.0, 12: 7.5, 13: 6.5, 14: 5.5,
    15: 5.5, 16: 5.5, 17: 6.0, 18: 7.0, 19: 8.5, 20: 10.0, 21: 9.5, 22: 6.0, 23: 2.5,
}  # fmt: skip


@dataclass(frozen=True)
class Currency:
    """A currency: its minor units, how prices look in it, and its rate to the euro over time."""

    decimals: int
    minor_per_euro: int
    # Prices are a multiple of `step` minor units, less `charm`: 12.90, 149.00, 1980.
    step: int
    charm: int
    # Euros for one unit at the ends of 2022, 2023, 2024 and 2025; none for the euro.
    rates: tuple[float, float, float, float] | None = None


CURRENCIES = {
    "EUR": Currency(2, 100, 100, 10),
    "BRL": Currency(2, 590, 500, 10, (0.1810, 0.1870, 0.1570, 0.1600)),
    "GBP": Currency(2, 88, 50, 5, (1.1610, 1.1600, 1.2030, 1.1420)),
    "ILS": Currency(2, 400, 500, 10, (0.2810, 0.2470, 0.2620, 0.2650)),
    "JPY": Currency(0, 160, 100, 20, (0.00704, 0.00625, 0.00633, 0.00550)),
    "NAD": Currency(2, 2000, 1000, 5, (0.0557, 0.0488, 0.0523, 0.0500)),
    "PLN": Currency(2, 430, 500, 1, (0.2133, 0.2298, 0.2323, 0.2363)),
    "RON": Currency(2, 500, 500, 10, (0.2025, 0.2011, 0.2010, 0.1966)),
    "SEK": Currency(2, 1140, 500, 100, (0.0917, 0.0880, 0.0868, 0.0915)),
    "USD": Currency(2, 112, 100, 5, (0.9600, 0.9180, 0.9480, 0.8560)),
}

# Prices in euro cents and how often each is taken: from a packet of tea to an espresso machine.
CATALOGUE = {
    690: 20.0, 890: 24.0, 490: 10.0, 790: 8.0, 1290: 12.0, 1690: 8.0, 2490: 9.0, 2990: 5.0,
    3490: 3.0, 5990: 1.5, 7990: 1.0, 24900: 0.25,
}  # fmt: skip
SHIPPING = 490
FREE_SHIPPING_FROM = 3900

# The monthly box: the small, the usual, the large and the office one, in euro cents.
PLANS = (900, 1500, 2400, 3900)
FREE_PLAN = 0

# In May 2024 the Finnish team surveyed nearly all customers: a campaign, as real shops have them.
NPS_CAMPAIGN = ("FI", 2024, 5)


# --------------------------------------------------------------------------------------
# Names: one group of given and family names per country (two where they agree in gender).
# An underscore is a space; in other scripts the spelling for the address follows a colon.
# --------------------------------------------------------------------------------------

NAMES = {
    "DE": [
        (
            "Anna Lukas Jörg Käthe Jürgen Lena Maximilian Sabine Björn Emilia Günther Hanna"
            " Felix Marlene Stefan Ayşe Uwe Greta",
            "Müller Schmidt Schäfer Köhler Weiß Krüger Größer Hofmann Jäger Böhm Voß Lindner"
            " Vogel Brandt Yılmaz von_Arnim Kühn Sauer",
        )
    ],
    "GB": [
        (
            "Oliver Amelia Harry Isla George Freya Siân Rhys Callum Zoë Imogen Alfie Niamh"
            " Priya Poppy Hamish Chloë Owen",
            "Smith Jones O'Brien Taylor Hughes Patel Wright Clarke MacDonald Evans Green"
            " Whitlock Begum Fairweather Ashdown Price Lloyd Hawthorne",
        )
    ],
    "US": [
        (
            "James Mary Robert Patricia José Linda Tyler Ashley DeShawn Grace Ethan Olivia"
            " Mateo Hannah Kai Renée Walter Ximena",
            "Johnson Williams Brown García Miller Davis Martínez Nguyen Anderson Thomas Moore"
            " O'Connor Lee Núñez Walker Kowalski Hill Rivers",
        )
    ],
    "FR": [
        (
            "Chloé Léa Hugo Théo Zoé Jérôme François Élodie Inès Raphaël Noémie Gaël Céline"
            " Mathis Anaïs Benoît Agnès Loïc",
            "Martin Lefèvre Dubois Bérenger Garçon Moreau Girard Lemaître Faure Gauthier Noël"
            " Chevalier d'Aubigné Besançon Hébert Marchand Roussel L'Hôte",
        )
    ],
    "FI": [
        (
            "Aino Väinö Eero Päivi Äiti-Maija Juhani Helmi Onni Sanni Mikael Tuuli Ville Elina"
            " Jyrki Kerttu Oskari Åsa Yrjö",
            "Virtanen Mäkinen Hämäläinen Korhonen Järvinen Lehtonen Köykkä Salmi Niemi Peltola"
            " Sjöberg Rantanen Kääriäinen Öhman Tuominen Heikkilä Laine Ståhl",
        )
    ],
    "NL": [
        (
            "Daan Sanne Jeroen Fleur Thijs Lotte Bram Noëlle Maaike Joris Eva Ruben Zoë Willem"
            " Femke Coen Anouk Tijn",
            "de_Vries Jansen van_den_Berg Bakker van_Dijk Visser Smit Meijer de_Groot Bos"
            " Mulder Hendriks van_'t_Hoff Peters Kuiper Veenstra Dekker Brouwer",
        )
    ],
    "ES": [
        (
            "Lucía Martín Sofía José_Luis Íñigo Begoña María_José Andrés Núria Jordi Álvaro"
            " Inés Montserrat Óscar Raúl Aitana Noelia Xavier",
            "García_López Fernández Ibáñez Muñoz_Peña Pérez Sánchez Núñez Puig_i_Ferrer"
            " Rodríguez Gómez Ordóñez Vila Castaño Ruiz_Martín Domènech Etxeberria Vázquez Sáez",
        )
    ],
    "SE": [
        (
            "Åsa Björn Elsa Göran Linnéa Håkan Märta Oskar Ebba Sören Freja Nils Maja Örjan"
            " Alva Gustav Ylva Hjalmar",
            "Andersson Lindström Bergström Öberg Åkesson Nyström Sjögren Holm Ekström Björk"
            " Wikström Hägg Lundqvist Nordin Dahl Strömberg Äng Hedlund",
        )
    ],
    "PL": [
        (
            "Zofia Łucja Agnieszka Małgorzata Żaneta Katarzyna Grażyna Hanna Ewa",
            "Kowalska Wiśniewska Wójcik Zielińska Szymańska Dąbrowska Jabłońska Król Ćwikła",
        ),
        (
            "Paweł Łukasz Michał Jędrzej Stanisław Krzysztof Grzegorz Jan Błażej",
            "Kowalski Wiśniewski Wójcik Zieliński Szymański Dąbrowski Jabłoński Król Źródlak",
        ),
    ],
    "RO": [
        (
            "Andrei Ștefania Mihai Ioana Țvetana Răzvan Mădălina Ana_Maria Ștefan Cătălin"
            " Ileana Bogdan Ruxandra György Réka Tudor Sânziana Ilinca",
            "Popescu Ionescu Țăranu Stănescu Munteanu Șerban Dumitrașcu Bălan Nagy Crăciun"
            " Vasile Moldoveanu Rusu Lăzărescu Kovács Dănilă Călin Pârvu",
        )
    ],
    "JP": [
        (
            "陽菜:hina 蓮:ren 結衣:yui 大翔:hiroto さくら:sakura 健太:kenta 美咲:misaki 翔:sho"
            " 葵:aoi 直樹:naoki 優子:yuko 一郎:ichiro",
            "佐藤:sato 鈴木:suzuki 高橋:takahashi 田中:tanaka 渡辺:watanabe 伊藤:ito 山本:yamamoto"
            " 中村:nakamura 小林:kobayashi 髙田:takada 斎藤:saito 松本:matsumoto",
        )
    ],
    "BR": [
        (
            "João Maria_Clara Antônio Luíza Gonçalo Letícia Vinícius Conceição Thaís Caio"
            " Beatriz Otávio Iara Fábio Júlia Davi Inácio Anaís",
            "Silva Souza Conceição Araújo dos_Santos Gonçalves Magalhães Sá Pereira Leão"
            " Guimarães da_Costa Nóbrega Assunção Brandão Falcão Simões Prado",
        )
    ],
    "IL": [
        (
            "נועה:noa דוד:david מאיה:maya יוסי:yossi תמר:tamar אורי:uri שירה:shira איתן:eitan"
            " רות:ruth עומר:omer יעל:yael אלכסנדר:alexander",
            "כהן:cohen לוי:levi מזרחי:mizrahi פרץ:peretz ביטון:biton אברהם:avraham"
            " פרידמן:friedman דהן:dahan בן_עמי:benami חדד:hadad שפירא:shapira צור:tzur",
        )
    ],
    "LV": [
        (
            "Līga Ilze Kristīne Zane Anželika Sņežana Māra Jeļena",
            "Bērziņa Kalniņa Ozoliņa Liepiņa Krūmiņa Ivanova Žukova Āboliņa",
        ),
        (
            "Jānis Kārlis Mārtiņš Uģis Ņikita Gatis Sergejs Ēriks",
            "Bērziņš Kalniņš Ozoliņš Liepiņš Krūmiņš Ivanovs Žukovs Āboliņš",
        ),
    ],
    "NA": [
        (
            "Ndapewa Tangeni Selma Johannes Hilma Petrus Uazuva Frieda Tuhafeni Anneliese Magdalena"
            " Kauna",
            "Shikongo Nghidinwa Amupolo van_Wyk Katjiuongua ǀUirab Garoëb Hamutenya Müller"
            " Iipinge Tjivikua Beukes",
        )
    ],
}

# Replacements of letters in addresses; listed here, because Unicode tables change with Python.
TO_ASCII = {
    "à": "a", "á": "a", "â": "a", "ã": "a", "ä": "a", "å": "a", "ā": "a", "ă": "a", "ą": "a",
    "ç": "c", "ć": "c", "č": "c", "è": "e", "é": "e", "ê": "e", "ë": "e", "ē": "e", "ę": "e",
    "ģ": "g", "ì": "i", "í": "i", "î": "i", "ï": "i", "ī": "i", "ı": "i", "ķ": "k", "ļ": "l",
    "ł": "l", "ñ": "n", "ń": "n", "ņ": "n", "ò": "o", "ó": "o", "ô": "o", "õ": "o", "ö": "o",
    "ř": "r", "ś": "s", "ş": "s", "š": "s", "ș": "s", "ß": "ss", "ţ": "t", "ț": "t", "ù": "u",
    "ú": "u", "û": "u", "ü": "u", "ū": "u", "ý": "y", "ź": "z", "ż": "z", "ž": "z",
}  # fmt: skip

# --------------------------------------------------------------------------------------
# Comments: what people write when they are happy, neutral and unhappy.
# A language without a list gets no comments.
# --------------------------------------------------------------------------------------

COMMENTS = {
    "en": (
        [
            "Lovely tea, quick delivery.",
            'The "Harbour Blend" is the best coffee I have had in years!',
            "Great service, as always. Thank you, Otterby!",
            "Packed with care, and a handwritten note inside.",
            "My whole office drinks it now, no complaints at all.",
        ],
        ["Good, but a little dear.", "Fine. Nothing special.", "Taste is good, box was dented."],
        [
            'Two weeks late, and all I got was "we are looking into it".',
            "The grinder broke after a month, please write to me at sam@example.com.",
            "Stale beans, never again.",
        ],
    ),
    "de": (
        [
            "Sehr guter Kaffee, schnelle Lieferung.",
            "Alles bestens, gerne wieder!",
            "Der „Hafenröster“ ist großartig.",
        ],
        ["Ganz in Ordnung, aber teuer.", "Geschmack gut, Verpackung beschädigt."],
        ["Lieferung kam zwei Wochen zu spät, keine Antwort vom Service.", "Enttäuschend, leider."],
    ),
    "fr": (
        [
            "Très bon thé, livraison rapide.",
            "Un service à l'écoute, merci !",
            "Café « du port » délicieux.",
        ],
        ["Correct, mais un peu cher.", "Rien de spécial."],
        ["Colis abîmé, aucune réponse à mes messages.", "Déçue par la qualité."],
    ),
    "es": (
        ["Muy buen café, llegó enseguida.", "¡Excelente atención, gracias!", "Repetiré, sin duda."],
        ["Está bien, pero es algo caro.", "Normal."],
        ["Llegó tarde, roto y nadie contesta.", "No lo recomiendo."],
    ),
    "pt": (
        [
            "Café maravilhoso, entrega rápida!",
            "Atendimento ótimo, recomendo.",
            "Chegou antes do prazo.",
        ],
        ["Bom, mas o frete é caro.", "Razoável."],
        ["Demorou três semanas, não respondem.", "Produto veio quebrado."],
    ),
    "nl": (
        [
            "Heerlijke koffie, snel geleverd.",
            "Prima service, dank jullie wel!",
            "Al jaren tevreden.",
        ],
        ["Goed, maar wel duur.", "Gaat wel."],
        ["Pakket kwijt, niemand die belt.", "Smaakt muf, jammer."],
    ),
    "sv": (
        ["Fantastiskt te, snabb leverans.", "Jättebra service, tack!", "Bästa kaffet på länge."],
        ["Okej, men lite dyrt.", "Helt okej."],
        ["Försenat två veckor, inget svar.", "Kvarnen gick sönder."],
    ),
    "fi": (
        [
            "Todella hyvää kahvia, nopea toimitus.",
            "Kiitos, palvelu pelasi hienosti!",
            "Paras tee pitkään aikaan.",
        ],
        ["Ihan hyvä, mutta hieman kallis.", "Menettelee."],
        ["Lähetys myöhästyi, eikä kukaan vastaa.", "Pettymys, valitettavasti."],
    ),
    "pl": (
        ["Świetna kawa, szybka dostawa.", "Bardzo miła obsługa, dziękuję!", "Polecam każdemu."],
        ["Dobre, ale trochę drogie.", "Może być."],
        ["Paczka spóźniona, brak odpowiedzi.", "Młynek się zepsuł."],
    ),
    "ro": (
        [
            "Cafea excelentă, livrare rapidă.",
            "Mulțumesc, servicii foarte bune!",
            "Recomand cu încredere.",
        ],
        ["Bun, dar cam scump.", "Acceptabil."],
        ["Coletul a întârziat, nimeni nu răspunde.", "Dezamăgitor, din păcate."],
    ),
    "lv": (
        ["Ļoti garšīga tēja, ātra piegāde.", "Paldies, lieliska apkalpošana!"],
        ["Labi, bet nedaudz dārgi."],
        ["Sūtījums kavējās, neviens neatbild."],
    ),
    "ru": (
        ["Отличный чай, быстрая доставка.", "Спасибо, всё понравилось!"],
        ["Неплохо, но дорого."],
        ["Посылка опоздала, никто не отвечает."],
    ),
    "he": (
        ["קפה מצוין, משלוח מהיר.", "שירות נהדר, תודה רבה!"],
        ["בסדר, אבל קצת יקר."],
        ["המשלוח איחר, ואף אחד לא עונה."],
    ),
    "ja": (
        [
            "香りがとても良く、配送も早かったです。",
            "毎月楽しみにしています。",
            "「港ブレンド」が一番好き。",
        ],
        ["普通です。", "味は良いが, 少し高い。"],
        ["箱がつぶれていました。", "到着が遅く、返信もありません。"],
    ),
}

# --------------------------------------------------------------------------------------
# Chance
# --------------------------------------------------------------------------------------


class Dice:
    """Random draws built on random() alone."""

    def __init__(self, seed: int) -> None:
        """Random numbers that are the same for the same seed."""
        self.roll = random.Random(seed).random

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.roll() < probability

    def between(self, low: float, high: float) -> float:
        """A number from low up to high."""
        return low + (high - low) * self.roll()

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int(self.roll() * (high - low + 1))

    def pick(self, items: Sequence):
        """One of the items, all equally likely."""
        return items[int(self.roll() * len(items))]

    def weighted(self, weights: dict):
        """A key of the mapping, in proportion to its value."""
        total = 0.0
        for weight in weights.values():
            total += weight
        left = self.roll() * total
        chosen = None
        for chosen, weight in weights.items():
            left -= weight
            if left < 0:
                return chosen
        # rounding may leave a remainder, which goes to the last one
        return chosen

    def bell(self) -> float:
        """Approximately a standard normal draw: the sum of twelve uniform ones, minus its mean."""
        total = -6.0
        for _ in range(12):
            total += self.roll()
        return total


def clip(value, low, high):
    """The value, clipped to the bounds."""
    return max(low, min(high, value))


# --------------------------------------------------------------------------------------
# Rows
# --------------------------------------------------------------------------------------


@dataclass
class Customer:
    """A customer: first what the shop knows, then what only the generator does."""

    number: int
    signed_up_at: datetime
    email: str
    full_name: str
    country_code: str
    language_code: str
    acquisition_channel: str

    dice: Dice
    home: Country
    # affects NPS and dropping out; above 0 is happier than the worldwide average
    satisfaction: float
    dropout: float
    languages: list[str]
    orders: list["Order"] = field(default_factory=list)
    subscriptions: list["Subscription"] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The id as the shop writes it, with leading zeros."""
        return f"{self.number:06d}"


@dataclass
class Order:
    """An order, its money in minor units; refunded is None where the field stays empty."""

    customer: Customer
    ordered_at: datetime
    status: str
    currency: str
    amount: int
    refunded: int | None


@dataclass
class Answer:
    """An answer to a survey, or a review that nobody asked for."""

    customer: Customer | None
    survey_type: str
    responded_at: datetime
    score: int
    scale: tuple[int, int]
    channel: str
    language_code: str
    comment: str


@dataclass
class Subscription:
    """A contract from started_on up to the day before ended_on, at one monthly amount."""

    customer: Customer
    started_on: date
    ended_on: date | None
    plan: int
    currency: str


# --------------------------------------------------------------------------------------
# Calendar
# --------------------------------------------------------------------------------------


def add_months(day: date, months: int) -> date:
    """The same day of a later month; callers keep to days that every month has."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, day.day)


def black_friday(year: int) -> date:
    """The day after the fourth Thursday of November."""
    first = date(year, 11, 1)
    return first + timedelta(days=(3 - first.weekday()) % 7 + 22)


BLACK_FRIDAYS = {year: black_friday(year) for year in range(2023, 2026)}


def is_sale(day: date) -> bool:
    """From the Thursday before Black Friday to the Monday after it."""
    friday = BLACK_FRIDAYS.get(day.year)
    return friday is not None and -1 <= (day - friday).days <= 3


def demand(day: date, southern: bool) -> float:
    """The sales of a day, relative to an average day."""
    level = (SALES_SOUTH if southern else SALES_NORTH)[day.month - 1]
    level *= SALES_BY_WEEKDAY[day.weekday()]
    if is_sale(day):
        level *= 2.4
    if day.month == 12 and day.day > 22:
        level *= 0.45
    return level


DAYS = [FIRST_DAY + timedelta(days=n) for n in range((LAST_DAY - FIRST_DAY).days + 1)]
DEMAND = {southern: [demand(day, southern) for day in DAYS] for southern in (False, True)}


def trouble(day: date) -> float:
    """The problems with the new warehouse of mid 2024, by month: from 0 to 1 and back."""
    if day.year != 2024:
        return 0.0
    return {5: 0.4, 6: 0.9, 7: 1.0, 8: 0.8, 9: 0.4}.get(day.month, 0.0)


TROUBLE = [trouble(day) for day in DAYS]


def years_since_start(day: date) -> float:
    """Years since the shop opened."""
    return (day - FIRST_DAY).days / 365.25


def at_local_hour(dice: Dice, day: date, home: Country) -> datetime:
    """A time of an order on a day in the customer's time zone, in UTC."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    seconds = dice.weighted(HOURS) * 3600 + dice.whole(0, 3599)
    return midnight + timedelta(seconds=seconds - home.utc_offset * 3600)


# --------------------------------------------------------------------------------------
# Customers
# --------------------------------------------------------------------------------------


def sign_up_times(dice: Dice) -> list[datetime]:
    """When customers sign up: more every month, most of all before Christmas."""
    times = []
    for n in range(37):
        month = add_months(FIRST_DAY, n)
        # nobody signs up on the last day, which ends in the afternoon
        days = [day for day in DAYS[:-1] if (day.year, day.month) == (month.year, month.month)]
        wanted = (31 + 1.0 * n) * SIGNUPS_BY_MONTH[month.month - 1] * len(days) / 30.4
        crowd = {day: demand(day, southern=False) for day in days}
        for _ in range(int(wanted + 0.5)):
            day = dice.weighted(crowd)
            seconds = dice.weighted(HOURS) * 3600 + dice.whole(0, 3599)
            times.append(OPENED_AT + timedelta(days=(day - FIRST_DAY).days, seconds=seconds))
    return sorted(times)


def name_and_address(dice: Dice, code: str, number: int) -> tuple[str, str]:
    """A name as written in the country, and an email address that cannot exist."""
    given_names, family_names = dice.pick(NAMES[code])
    given, _, given_latin = dice.pick(given_names.split()).replace("_", " ").partition(":")
    family, _, family_latin = dice.pick(family_names.split()).replace("_", " ").partition(":")

    spelt = f"{given_latin or given}.{family_latin or family}".lower()
    spelt = "".join(TO_ASCII.get(letter, letter) for letter in spelt)
    local = "".join(c for c in spelt if c.isascii() and (c.isalnum() or c == "."))
    address = f"{local}{number}@example.{'org' if dice.chance(0.3) else 'com'}"

    if code == "JP":
        name = f"{family} {given}"
    elif dice.chance(0.05):
        name = f"{family}, {given}"
    elif code in ("US", "GB") and dice.chance(0.03):
        name = f'{given} "{given[:2]}" {family}'
    else:
        name = f"{given} {family}"
    return name, address


def make_customer(number: int, signed_up_at: datetime) -> Customer:
    """One customer with their characteristics, without any activity yet."""
    dice = Dice(SEED * 10_000 + number)
    code = dice.weighted({code: country.share for code, country in COUNTRIES.items()})
    home = COUNTRIES[code]

    shares = {name: values[0] for name, values in CHANNELS.items()}
    shares["store"] *= home.stores
    channel = dice.weighted(shares)

    language = dice.weighted(home.languages)
    languages = [language]
    others = {other: share for other, share in home.languages.items() if other != language}
    if dice.chance(home.bilingual):
        languages.append(dice.weighted(others) if others else "en")

    satisfaction = clip(CHANNELS[channel][2] + dice.bell(), -2.2, 2.2)
    # A customer of a sale or of Christmas is less likely to return.
    passing_by = 1.3 if signed_up_at.month in (11, 12) else 1.0
    dropout = CHANNELS[channel][1] * home.dropout * passing_by
    dropout *= clip(1.0 - 0.6 * satisfaction, 0.12, 2.4)

    name, address = name_and_address(dice, code, number)
    return Customer(
        number=number,
        signed_up_at=signed_up_at,
        email="" if dice.chance(0.03) else address,
        full_name="" if dice.chance(0.015) else name,
        country_code="" if dice.chance(0.02) else code,
        language_code="" if dice.chance(0.03) else language,
        acquisition_channel="" if dice.chance(0.035) else channel,
        dice=dice,
        home=home,
        satisfaction=satisfaction,
        dropout=dropout,
        languages=languages,
    )


# --------------------------------------------------------------------------------------
# Orders
# --------------------------------------------------------------------------------------


def local_price(euro_cents: int, currency: str) -> int:
    """A catalogue price in the local shop, in minor units."""
    rule = CURRENCIES[currency]
    exact = euro_cents * rule.minor_per_euro // 100
    return max(rule.step, (exact + rule.step // 2) // rule.step * rule.step) - rule.charm


def basket(dice: Dice, currency: str, appetite: float, day: date) -> int:
    """The price of a basket, with discounts and shipping, in minor units."""
    cents = [dice.weighted(CATALOGUE)]
    while len(cents) < 8 and dice.chance(appetite):
        cents.append(dice.weighted(CATALOGUE))
    total = sum(local_price(price, currency) for price in cents)
    if is_sale(day):
        total = total * 80 // 100
    elif dice.chance(0.12):
        total = total * 90 // 100
    if sum(cents) < FREE_SHIPPING_FROM:
        total += local_price(SHIPPING, currency)
    return total


def settle(dice: Dice, amount: int, ordered_at: datetime) -> tuple[str, int, int | None]:
    """The outcome of an order of that amount: status, amount paid and amount refunded."""
    if dice.chance(0.004):
        # paid with a gift card: an order with an amount of 0
        amount = 0
    fate = dice.roll()
    back = dice.roll()
    if CLOSED_AT - ordered_at < timedelta(days=4) and dice.chance(0.5):
        status, refunded = "pending", 0
    elif fate < 0.045:
        status, refunded = "cancelled", amount if back < 0.6 else 0
    elif fate < 0.09:
        status, refunded = "returned", amount
    elif fate < 0.1:
        # sent back, but the status was not updated
        status, refunded = "completed", amount
    elif fate < 0.135:
        status, refunded = "completed", amount * int(10 + back * 60) // 100
    else:
        status, refunded = "completed", 0
    if refunded == 0 and dice.chance(0.15):
        return status, amount, None
    return status, amount, refunded


def shopping_days(customer: Customer) -> list[int]:
    """The days of a customer's orders: buying until they drop out, and some come back.

    After each order, and a little every day, a customer may drop out; a happy one less, and more
    so in the months of the trouble. One in three only sleeps, for a season or a year.
    """
    dice = customer.dice
    signed_up = (customer.signed_up_at.date() - FIRST_DAY).days
    start = dice.roll()
    if start < 0.05:
        return []
    first = signed_up if start < 0.85 else signed_up + dice.whole(1, 60)

    taste = dice.roll()
    per_day = (0.62 + 1.4 * taste * taste) / 30
    seasons = DEMAND[customer.home.southern]
    box = customer.subscriptions[0].started_on if customer.subscriptions else None
    boxed_from = (box - FIRST_DAY).days if box else len(DAYS)

    days, wakes_on = [], first
    for day in range(first, len(DAYS)):
        if day < wakes_on:
            continue
        buys = day == wakes_on or dice.chance(
            per_day * seasons[day] * (0.45 if day >= boxed_from else 1.0)
        )
        if buys:
            days.append(day)
        risk = 0.0008
        if buys:
            risk = 0.3 if len(days) == 1 else 0.052
        if dice.chance(min(0.8, risk * customer.dropout * (1.0 + 0.8 * TROUBLE[day]))):
            if not dice.chance(0.33):
                break
            wakes_on = day + 95 + int(dice.roll() * dice.roll() * 420)
    return days


def make_orders(customer: Customer) -> None:
    """The orders of a customer, each with a time of day."""
    dice = customer.dice
    appetite = dice.between(0.3, 0.75)
    currency = customer.home.currency
    for number, day in enumerate(shopping_days(customer)):
        ordered_at = at_local_hour(dice, DAYS[day], customer.home)
        if number == 0 and day == (customer.signed_up_at.date() - FIRST_DAY).days:
            # they signed up to place this order
            ordered_at = customer.signed_up_at + timedelta(seconds=dice.whole(40, 2400))
        amount = basket(dice, currency, appetite, DAYS[day])
        status, amount, refunded = settle(dice, amount, ordered_at)
        if customer.signed_up_at < ordered_at <= CLOSED_AT:
            customer.orders.append(Order(customer, ordered_at, status, currency, amount, refunded))


# --------------------------------------------------------------------------------------
# Contracts
# --------------------------------------------------------------------------------------


def next_plan(dice: Dice, plan: int) -> int:
    """The plan for the next month: mostly the same, sometimes larger, smaller or free."""
    change = dice.roll()
    if plan == FREE_PLAN:
        return PLANS[0] if change < 0.2 else plan
    size = PLANS.index(plan)
    if change < 0.045:
        return PLANS[min(size + 1, len(PLANS) - 1)]
    if change < 0.07:
        return PLANS[max(size - 1, 0)]
    if change < 0.077:
        return FREE_PLAN
    return plan


def make_contract(customer: Customer) -> None:
    """Give some customers a monthly box, with changes, ends and returns.

    Contracts start on a day that every month has, and change or end a whole number of months
    later. A change of plan ends one subscription and starts the next on the same day.
    """
    dice = customer.dice
    likely = 0.15 * clip(1.0 + 0.25 * customer.satisfaction, 0.5, 1.6)
    start = customer.signed_up_at.date() + timedelta(days=dice.whole(2, 240))
    start = start.replace(day=1 if dice.chance(0.4) else min(start.day, 28))
    if not dice.chance(likely) or start <= customer.signed_up_at.date():
        return

    currency = customer.home.currency
    plan = dice.weighted(dict(zip(PLANS, (0.3, 0.4, 0.2, 0.1), strict=True)))
    months = 0
    while start <= LAST_DAY:
        months += 1
        day = add_months(start, months)
        running = Subscription(customer, start, day, plan, currency)
        if day > LAST_DAY:
            # a few have given notice, the others continue
            running.ended_on = day if dice.chance(0.03) else None
            customer.subscriptions.append(running)
            break
        if dice.chance(min(0.25, 0.026 * customer.dropout * (1.0 + 0.8 * trouble(day)))):
            customer.subscriptions.append(running)
            if not dice.chance(0.42):
                break
            # back after a gap, on the same plan or another
            start, months = add_months(day, dice.whole(1, 4)), 0
            plan = dice.pick(PLANS) if plan == FREE_PLAN or dice.chance(0.4) else plan
            continue
        new_plan = next_plan(dice, plan)
        if new_plan != plan:
            customer.subscriptions.append(running)
            start, months, plan = day, 0, new_plan
            if dice.chance(0.06):
                currency = "USD" if currency == "EUR" else "EUR"


def add_gift_box(customer: Customer) -> None:
    """Sometimes a second box, besides the first, for a while."""
    dice = customer.dice
    if not customer.subscriptions or not dice.chance(0.12):
        return
    first = customer.subscriptions[0]
    start = add_months(first.started_on, dice.whole(1, 3))
    end = add_months(start, dice.whole(2, 8))
    if start < (first.ended_on or LAST_DAY):
        ended_on = end if end <= LAST_DAY else None
        gift = Subscription(customer, start, ended_on, PLANS[0], first.currency)
        customer.subscriptions.append(gift)


def make_invoices(customer: Customer) -> None:
    """The invoices of contracts, by month, quarter or year; unused months are refunded."""
    if not customer.subscriptions:
        return
    dice = customer.dice
    term = dice.weighted({1: 0.42, 3: 0.33, 12: 0.25})
    for subscription in customer.subscriptions:
        monthly = monthly_amount(subscription)
        last = subscription.ended_on or LAST_DAY + timedelta(days=1)
        due = subscription.started_on
        while monthly and due < last and due <= LAST_DAY:
            used = 1
            while used < term and add_months(due, used) < last:
                used += 1
            # Unused months are refunded at the end of the contract, not when notice is given.
            ended = subscription.ended_on is not None and last <= LAST_DAY
            refunded = monthly * (term - used) if ended else 0
            at = datetime(due.year, due.month, due.day, 2, tzinfo=UTC)
            at += timedelta(seconds=dice.whole(0, 3 * 3600))
            invoice = Order(
                customer, at, "completed", subscription.currency, monthly * term, refunded
            )
            if dice.chance(0.02):
                # the card was refused, and charged a day later
                customer.orders.append(replace(invoice, status="cancelled", refunded=0))
                invoice.ordered_at += timedelta(days=1)
            if invoice.ordered_at <= CLOSED_AT:
                customer.orders.append(invoice)
            due = add_months(due, term)


def monthly_amount(subscription: Subscription) -> int:
    """The price of the plan in the contract's currency, in minor units."""
    return local_price(subscription.plan, subscription.currency) if subscription.plan else 0


# --------------------------------------------------------------------------------------
# Answers
# --------------------------------------------------------------------------------------

SURVEY_CHANNELS = {
    "nps": {"email": 0.62, "in_app": 0.22, "phone": 0.07, "web": 0.08, "": 0.01},
    "csat": {"email": 0.42, "web": 0.24, "in_app": 0.2, "phone": 0.13, "": 0.01},
    "ces": {"phone": 0.35, "in_app": 0.28, "email": 0.25, "web": 0.12},
    "review": {"google_reviews": 0.55, "trustpilot": 0.4, "web": 0.05},
}
ANSWER_PREFIXES = {"nps": "N", "csat": "C", "ces": "E", "review": "R"}
# How often an order leads to a response, and how often that response is anonymous.
SURVEY_SHARES = {
    "nps": (0.204, 0.025),
    "csat": (0.152, 0.025),
    "ces": (0.063, 0.02),
    "review": (0.066, 0.33),
}


def scale_of(survey_type: str, channel: str, day: date) -> tuple[int, int]:
    """The scale of a survey, which differs between the tools behind the channels."""
    if survey_type == "nps":
        return 0, 10
    if survey_type == "ces":
        return 1, 7
    if survey_type == "review":
        return 1, 5
    if channel == "phone":
        # the call centre has a new provider since 2024
        return (1, 7) if day.year < 2024 else (0, 10)
    if channel == "in_app":
        # four faces since the new app of 2025, ten points before
        return (1, 10) if day.year < 2025 else (1, 4)
    return 1, 5


def make_score(dice: Dice, order: Order, survey_type: str, scale: tuple[int, int]) -> int:
    """A score, from the customer's satisfaction, their country, and the state of the shop."""
    customer = order.customer
    day = order.ordered_at.date()
    # on the scale of NPS, before rounding
    feeling = 8.25 + customer.home.mood + 0.1 * years_since_start(day)
    feeling += 1.0 * customer.satisfaction + 1.1 * dice.bell()
    feeling -= 1.15 * trouble(day)
    if order.status != "completed" or order.refunded:
        feeling -= 1.1
    if dice.chance(0.05):
        # a bad day
        feeling -= dice.between(2.5, 7.0)
    if survey_type == "review" and dice.chance(0.12):
        # people write reviews when they are annoyed
        feeling -= 4.0
    low, high = scale
    # most rate effort and satisfaction lower than their recommendation
    share = feeling / 10 - {"nps": 0.0, "csat": 0.03, "ces": 0.11, "review": 0.0}[survey_type]
    return clip(low + int(clip(share, 0.0, 1.0) * (high - low) + 0.5), low, high)


def make_comment(dice: Dice, language: str, score: int, scale: tuple[int, int]) -> str:
    """A comment that fits the score, in the language of the response."""
    if language not in COMMENTS:
        return ""
    happy, so_so, cross = COMMENTS[language]
    share = (score - scale[0]) / (scale[1] - scale[0])
    return dice.pick(happy if share > 0.84 else so_so if share > 0.64 else cross)


def make_answers(customer: Customer) -> list[Answer]:
    """A customer's responses after orders, some of them anonymous."""
    dice = customer.dice
    answers = []
    for order in customer.orders:
        if order.status == "pending":
            continue
        for survey_type, (share, nameless) in SURVEY_SHARES.items():
            asked = (customer.country_code, order.ordered_at.year, order.ordered_at.month)
            campaign = survey_type == "nps" and asked == NPS_CAMPAIGN
            if not dice.chance(0.36 if campaign else share):
                continue
            waits = dice.roll()
            after = timedelta(days=1, seconds=int(waits * waits * 20 * 86400))
            responded_at = order.ordered_at + after
            if responded_at > CLOSED_AT:
                continue
            channel = dice.weighted(SURVEY_CHANNELS[survey_type])
            scale = scale_of(survey_type, channel, responded_at.date())
            score = make_score(dice, order, survey_type, scale)
            language = customer.languages[0]
            if len(customer.languages) > 1 and dice.chance(0.35):
                language = customer.languages[1]
            talks = {"nps": 0.22, "csat": 0.12, "ces": 0.06, "review": 0.6}[survey_type]
            comment = make_comment(dice, language, score, scale) if dice.chance(talks) else ""
            answers.append(
                Answer(
                    customer=None if dice.chance(nameless) else customer,
                    survey_type=survey_type,
                    responded_at=responded_at,
                    score=score,
                    scale=scale,
                    channel=channel,
                    language_code=language if dice.chance(0.6) else "",
                    comment=comment,
                )
            )
    return answers


# --------------------------------------------------------------------------------------
# Exchange rates
# --------------------------------------------------------------------------------------


def make_rates() -> list[tuple[str, date, str]]:
    """A rate to the euro for each currency on the first of each month.

    A straight line between the ends of the years, and around it a walk that is pulled back.
    """
    first = date(2022, 12, 1)
    months = [add_months(first, n) for n in range(38)]
    rows = []
    for number, (code, currency) in enumerate(CURRENCIES.items()):
        if currency.rates is None:
            continue
        dice = Dice(SEED * 100 + number)
        # The leu is kept close to the euro; the others vary by a few percent.
        swing = 0.0015 if code == "RON" else 0.009
        walk = 0.0
        for n, month in enumerate(months):
            year, into = divmod(n, 12)
            year, into = (2, 12) if year > 2 else (year, into)
            line = (
                currency.rates[year] + (currency.rates[year + 1] - currency.rates[year]) * into / 12
            )
            walk = 0.75 * walk + swing * clip(dice.bell(), -2.0, 2.0)
            rows.append((code, month, f"{line * (1 + walk):.8f}"))
    return sorted(rows, key=lambda row: (row[1], row[0]))


# --------------------------------------------------------------------------------------
# Files
# --------------------------------------------------------------------------------------


def to_csv(header: str, rows: Iterable[Sequence[str]]) -> bytes:
    """The rows as CSV, quoted only where needed; an empty field is empty."""

    def quoted(text: str) -> str:
        if any(mark in text for mark in ',"\r\n'):
            return '"' + text.replace('"', '""') + '"'
        return text

    lines = [header, *(",".join(quoted(text) for text in row) for row in rows)]
    return ("\n".join(lines) + "\n").encode("utf-8")


def money(minor: int | None, currency: str) -> str:
    """An amount with the currency's decimals."""
    if minor is None:
        return ""
    decimals = CURRENCIES[currency].decimals
    if decimals == 0:
        return str(minor)
    digits = f"{minor:0{decimals + 1}d}"
    return f"{digits[:-decimals]}.{digits[-decimals:]}"


def timestamp(dice: Dice, at: datetime, customer: Customer | None) -> str:
    """A time as the shop's tools write it: mostly UTC without an offset, some with one."""
    style = dice.roll()
    if style < 0.02:
        return at.strftime("%Y-%m-%dT%H:%M:%SZ")
    if style < 0.04 and customer:
        zone = timezone(timedelta(hours=customer.home.utc_offset))
        return at.astimezone(zone).isoformat(sep="T" if style < 0.03 else " ")
    return at.strftime("%Y-%m-%d %H:%M:%S")


def build() -> dict[str, bytes]:
    """The five files by name."""
    times = sign_up_times(Dice(SEED))
    customers = [make_customer(number, at) for number, at in enumerate(times, start=1)]
    answers = []
    for customer in customers:
        make_contract(customer)
        add_gift_box(customer)
        make_orders(customer)
        make_invoices(customer)
        customer.orders.sort(key=lambda order: order.ordered_at)
        answers += make_answers(customer)

    # Python's sort is stable: rows of the same second stay in order of customers.
    orders = [order for customer in customers for order in customer.orders]
    orders.sort(key=lambda order: order.ordered_at)
    answers.sort(key=lambda answer: answer.responded_at)
    subscriptions = [row for customer in customers for row in customer.subscriptions]
    subscriptions.sort(key=lambda row: row.started_on)

    styles = Dice(SEED + 1)
    return {
        "raw_customers.csv": to_csv(
            "customer_id,signed_up_at,email,full_name,country_code,language_code,"
            "acquisition_channel",
            [
                (
                    row.id,
                    timestamp(styles, row.signed_up_at, row),
                    row.email,
                    row.full_name,
                    row.country_code,
                    row.language_code,
                    row.acquisition_channel,
                )
                for row in customers
            ],
        ),
        "raw_orders.csv": to_csv(
            "order_id,customer_id,ordered_at,status,currency_code,amount,refunded_amount",
            [
                (
                    f"{number:08d}",
                    row.customer.id,
                    timestamp(styles, row.ordered_at, row.customer),
                    row.status,
                    row.currency,
                    money(row.amount, row.currency),
                    money(row.refunded, row.currency),
                )
                for number, row in enumerate(orders, start=1)
            ],
        ),
        "raw_surveys.csv": to_csv(
            "response_id,customer_id,survey_type,responded_at,score,scale_min,scale_max,channel,"
            "language_code,comment",
            [
                (
                    f"{ANSWER_PREFIXES[row.survey_type]}{number:06d}",
                    row.customer.id if row.customer else "",
                    row.survey_type,
                    timestamp(styles, row.responded_at, row.customer),
                    str(row.score),
                    str(row.scale[0]),
                    str(row.scale[1]),
                    row.channel,
                    row.language_code,
                    row.comment,
                )
                for number, row in enumerate(answers, start=1)
            ],
        ),
        "raw_exchange_rates.csv": to_csv(
            "currency_code,rate_date,rate_to_reporting",
            [(code, day.isoformat(), rate) for code, day, rate in make_rates()],
        ),
        "raw_subscriptions.csv": to_csv(
            "subscription_id,customer_id,started_on,ended_on,monthly_amount,currency_code",
            [
                (
                    f"S{number:05d}",
                    row.customer.id,
                    row.started_on.isoformat(),
                    row.ended_on.isoformat() if row.ended_on else "",
                    money(monthly_amount(row), row.currency),
                    row.currency,
                )
                for number, row in enumerate(subscriptions, start=1)
            ],
        ),
    }


def main() -> int:
    """Write the files, or check the existing ones."""
    parser = argparse.ArgumentParser(description="Write the seeds of the demo shop.")
    default = Path(__file__).resolve().parent.parent / "seeds"
    parser.add_argument("--out", type=Path, default=default, help="folder (default: seeds)")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if a file differs"
    )
    arguments = parser.parse_args()

    files = build()
    if not arguments.check:
        arguments.out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (arguments.out / name).write_bytes(content)
        return 0

    stale = []
    for name, content in files.items():
        path = arguments.out / name
        if not path.is_file():
            stale.append(f"{path} is missing")
        elif path.read_bytes() != content:
            stale.append(f"{path} differs from what this script writes")
    for line in stale:
        print(line, file=sys.stderr)
    if stale:
        print("Run: python tools/generate_demo_seeds.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
