"""The sentences the made-up data consists of; `{}` stands for a name. Changing one changes the data of every seed."""

from __future__ import annotations

from random import Random

from wedsync_db.seed.chance import between


def phone(chance: Random) -> str:
    """A number of the range that is kept free for films and made-up data."""
    return f"+44 7700 900{between(chance, 0, 999):03d}"


DIETS = ("vegan", "vegetarian", "coeliac", "no nuts", "halal", "kosher", "no shellfish", "lactose intolerant",
         "pregnant: no raw fish", "diabetic")  # fmt: skip
MEALS = ("beef", "fish", "chicken", "mushroom risotto", "vegan pie", "children's plate")
STREETS = ("High Street", "Mill Lane", "Station Road", "Church Walk", "Kirchgasse", "Rua da Rosa", "Via del Corso",
           "Calle Sierpes", "King's Parade", "Elm Grove", "Harbour View", "St. Mary's Close")  # fmt: skip
WISHES = (
    "Can't wait!", "So happy for you both. We'll bring the little ones.", "Is there parking near the church?",
    "We will have to leave before midnight.", "Thank you for having us — félicitations!",
    "Could we sit with Aunt Siân?", "Sorry, we are abroad that week.",
)  # fmt: skip

SOURCES = ("instagram", "recommendation", "wedding fair", "web search", "venue's list", "former client")
NOTES = (
    "Rang {}; prefers to be called after six in the evening.",
    "{}'s mother pays for the flowers, send her a copy of everything.",
    "Met {} at the venue. Loves the courtyard, worried about rain: talk about plan B.",
    "{} asked for ten per cent off; agreed to an extra hour instead.",
    "Wants candid pictures only. No drone. {} is shy in front of a camera.",
    "{} changed the number of guests again. Check the menu before the final invoice.",
    "Budget is firm, {} said so twice.",
    "Sent the questionnaire to {}, remind in a week.",
)
TASKS = (
    "Call {}", "Send the contract to {}", "Check the power supply at the venue", "Order for {}",
    "Invoice the balance to {}", "Ask {} for the running order", "Confirm arrival times", "Return the borrowed vases",
    "Thank {} and ask for a review",
)  # fmt: skip
OFFICE_TASKS = ("Renew the insurance", "Service the van", "Update the price list", "File the quarter's tax return")

PACKAGES = (("Essential", "Half a day.", 1), ("Classic", "A whole day, the one most couples take.", 2),
            ("Complete", "A whole day and the evening before, with everything.", 3))  # fmt: skip
FORMS = (("Enquiry", "enquiry"), ("Wedding questionnaire", "questionnaire"), ("After the wedding", "feedback"))
FIELDS = (
    ("name", "Your names", "text"), ("email", "E-mail address", "email"), ("phone", "Telephone", "text"),
    ("date", "Date of the wedding", "date"), ("guests", "How many guests?", "number"),
    ("wishes", "What matters most to you?", "textarea"),
)  # fmt: skip
MATTERS = (
    "That it feels like us.", "Good food and no speeches longer than five minutes.",
    "Grandmother's ring is used; please photograph it.", "Nothing in pink.",
    "That everybody — really everybody — dances.", "Two languages: English and español.",
)  # fmt: skip

MESSAGES = (
    "Hello {}, thank you for getting back to us so quickly.",
    "Could we meet one evening next week?",
    "We would like to add an hour in the evening. What would that cost?",
    "Of course, {}. I'll send the new contract tonight.",
    "The venue says we can get in from nine in the morning.",
    "My mother's number is +44 7700 900123 in case you can't reach us on the day.",
    "The invoice has arrived, we'll pay it this week.",
    "Have you thought about what happens if it rains?",
    "Perfect — see you on Saturday, {}!",
    "Sorry for the delay, we were away. Yes to all of it.",
    "We now have two more vegans and one coeliac.",
    "Here is the list of family photographs.",
    "{}, could you confirm the time the band arrives?",
)
TOLD_COUPLES = (("message", "{} wrote to you"), ("rsvp", "New answers from your guests"),
                ("booking", "{} accepted your invitation"), ("system", "Your wedding is getting closer"))  # fmt: skip
TOLD_SUPPLIERS = (("message", "{} wrote to you"), ("task", "A task is due: call {}"), ("payment", "{} paid an invoice"),
                  ("invitation", "{} invited you to a wedding"))  # fmt: skip
FILES = (
    ("Contract {}.pdf", "application/pdf"), ("Mood board {}.jpg", "image/jpeg"), ("Floor plan.pdf", "application/pdf"),
    ("{} — guests.csv", "text/csv"), ("IMG_2041.heic", "image/heic"),
)  # fmt: skip
REASONS = ("Moved away and wants no more letters.", "Asked by e-mail.", "Former client, account closed.")
