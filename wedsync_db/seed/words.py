"""The words the made-up data consists of. Changing one changes the data of every seed."""

from __future__ import annotations

from typing import NamedTuple


class City(NamedTuple):
    """A place: its time zone, the hours its summer is ahead of UTC, its money, and its tax in hundredths of a percent.

    Fixed, so that no machine's time-zone data counts.
    """

    name: str
    zone: str
    ahead: int
    currency: str
    tax: int


class Step(NamedTuple):
    """A step of the day: minutes after the ceremony begins, how long it takes, whose work it is, how usual it is."""

    title: str
    minute: int
    lasts: int
    category: str | None
    share: float
    notes: str | None = None


CITIES = (
    City("London", "Europe/London", 1, "GBP", 2000), City("Edinburgh", "Europe/London", 1, "GBP", 2000),
    City("Bath", "Europe/London", 1, "GBP", 2000), City("York", "Europe/London", 1, "GBP", 2000),
    City("Dublin", "Europe/Dublin", 1, "EUR", 2300), City("Lisbon", "Europe/Lisbon", 1, "EUR", 2300),
    City("Berlin", "Europe/Berlin", 2, "EUR", 1900), City("Florence", "Europe/Rome", 2, "EUR", 2200),
    City("Seville", "Europe/Madrid", 2, "EUR", 2100), City("New York", "America/New_York", -4, "USD", 888),
    City("Austin", "America/Chicago", -5, "USD", 825), City("Los Angeles", "America/Los_Angeles", -7, "USD", 950),
    City("Dubai", "Asia/Dubai", 4, "AED", 500), City("Singapore", "Asia/Singapore", 8, "SGD", 900),
    City("Sydney", "Australia/Sydney", 10, "AUD", 1000), City("Auckland", "Pacific/Auckland", 12, "NZD", 1500),
)  # fmt: skip

CATEGORIES = (
    ("photographer", "Photography"), ("videographer", "Films"), ("venue", "Hall"), ("planner", "Weddings"),
    ("florist", "Flowers"), ("caterer", "Kitchen"), ("musician", "Strings"), ("cake", "Cakes"), ("stylist", "Styling"),
)  # fmt: skip

FIRST_WORDS = (
    "Silver",
    "Golden",
    "Ivory",
    "Wild",
    "Quiet",
    "Little",
    "Old",
    "Northern",
    "Amber",
    "Velvet",
    "Linden",
    "Harbour",
)
SECOND_WORDS = (
    "Birch",
    "Rose",
    "Oak",
    "Swan",
    "Lantern",
    "Meadow",
    "Orchard",
    "Fern",
    "Willow",
    "Barn",
    "Heron",
    "Thistle",
)

# Two given names and family names of several words are common: a name does not split at its first space.
GIVEN_NAMES = (
    "Olivia", "Amelia", "Mary Ann", "Isla", "Ava", "Freya", "Grace", "Anna Lena", "Priya", "Aisha", "Chloé",
    "Sofia", "Maria José", "Hannah", "Yuki", "Zoë", "Fatima", "Niamh", "Ingrid", "Camille", "Oliver", "George",
    "Arthur", "Noah", "Jean Paul", "Leo", "Omar", "Arjun", "Luca", "Jürgen", "Diego", "Finn", "Kwame", "Hiroshi",
    "Callum", "Mateo", "Theo", "Rhys", "Sven", "Tomás",
)  # fmt: skip
FAMILY_NAMES = (
    "Smith", "Jones", "Taylor", "Brown", "Patel", "O'Brien", "Murphy", "Walsh", "Khan", "Singh", "Müller",
    "Schmidt", "van der Berg", "de la Cruz", "García", "Rossi", "Silva", "Dubois", "Novák", "Nguyen", "Kim",
    "Tanaka", "Okafor", "Mensah", "Haddad", "Cohen", "Campbell", "MacDonald", "Evans", "Hughes", "Wright", "Lewis",
    "Walker", "Hall", "Young", "Larsen", "Lindqvist", "Da Silva",
)  # fmt: skip

PLACES = (
    "Manor",
    "Old Library",
    "Boathouse",
    "Glasshouse",
    "Chapel",
    "Town Hall",
    "Vineyard",
    "Castle",
    "Winter Garden",
    "Mill",
)

STEPS = (
    Step("Hair and make-up", -270, 150, "stylist", 0.8),
    Step("Flowers arrive", -210, 30, "florist", 0.9, "Buttonholes go to the groomsmen's room."),
    Step("Photographer arrives", -150, 30, "photographer", 0.95),
    Step("Dress and details", -120, 45, "photographer", 0.8),
    Step("Guests arrive", -30, 30, None, 1.0),
    Step("Ceremony", 0, 40, None, 1.0),
    Step("Confetti", 45, 10, None, 0.7, "Outside only; biodegradable."),
    Step("Family photographs", 60, 40, "photographer", 0.95, "List of groups is with the best man."),
    Step("Drinks", 60, 75, "caterer", 0.9),
    Step("Couple portraits", 100, 30, "photographer", 0.8),
    Step("Call to dinner", 140, 15, "venue", 0.7),
    Step("Wedding breakfast", 155, 105, "caterer", 1.0, "Two vegan, one coeliac at the top table."),
    Step("Speeches", 260, 35, None, 0.9),
    Step("Cake", 330, 15, "cake", 0.8),
    Step("First dance", 360, 10, "musician", 0.9),
    Step("Evening food", 440, 45, "caterer", 0.6),
    Step("Last dance and farewell", 560, 20, "musician", 0.7),
)
