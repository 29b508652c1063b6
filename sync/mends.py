"""What to do about each reason, in one sentence. A test collects the reasons of the sources and misses none here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_AGAIN: Final = "then replay the record"
_SOURCE: Final = f"Correct the record in Clarity, {_AGAIN}"
_MAPPING: Final = f"Correct the mapping and have it approved, {_AGAIN}"
_NOTHING: Final = "Nothing to do"

MENDS: Final[Mapping[str, str]] = {
    # The runner and the way to the two systems.
    "account-limits": f"Shorten or correct what the account does not take, in Clarity or by the mapping, {_AGAIN}.",
    "auth": "Correct the FreshBooks credentials, or sign in with 'mapper-sync auth login freshbooks'.",
    "clarity-auth": "Correct the Clarity credentials; what waits goes on by itself.",
    "clarity-reconnect": "Sign in with 'mapper-sync auth login clarity'; what waits goes on by itself.",
    "connector-error": f"Look at the message and the story of the record, mend what it names, {_AGAIN}.",
    "gave-up": f"See in the message behind it what failed each time; when that is mended, {_AGAIN[5:]}.",
    "gone-at-source": "Look whether it was deleted in Clarity on purpose; what FreshBooks has of it stays as it is.",
    "in-doubt": f"{_NOTHING}: it is looked up before anything is sent again.",
    "mapping-stopped": "Have the mapping approved, or put its last approved version back; the events go on.",
    "no-mapping": "Nothing to do, unless this kind of event should be posted: then a mapping has to name it.",
    "no-record-id": "The event names no record: have the sender corrected; the record itself comes with the next poll.",
    "no-snapshot": f"Set up the connection to Clarity, or send the event with its record, {_AGAIN}.",
    "reconnect": "Sign in with 'mapper-sync auth login freshbooks'; the work goes on by itself.",
    "rejected": f"The other system says in the message what it does not take: correct it in Clarity, {_AGAIN}.",
    "runner-died": "This record ended its runner several times: report it with the log, and skip it meanwhile.",
    "store-failed": f"{_NOTHING}: it is tried again; see the log if the store fails often.",
    "transient": f"{_NOTHING}: it is tried again.",
    "unexpected-error": f"A fault of this program: report it with the log; after an update, {_AGAIN[5:]}.",
    "unknown": "Look at the story of the record.",
    "write-under-way": f"{_NOTHING}: another worker is at it; it is looked at again.",
    # People's decisions.
    "forgotten": f"{_NOTHING}: the customer was erased on request.",
    "skipped-by-person": "Nothing to do; 'mapper-sync replay RECORD' takes the decision back.",
    # Orders, invoices, clients.
    "adoption-proposed": "Decide with 'mapper-sync adopt accept' or 'adopt refuse'; 'adopt list' shows the invoices.",
    "changed-in-freshbooks": "Decide whose value counts, and make both sides say the same, then replay the record.",
    "client-deleted": f"Restore it in FreshBooks, {_AGAIN}.",
    "client-archived": f"Restore the client in FreshBooks, or set clients.archived in mapper.toml, {_AGAIN}.",
    "client-followed": f"{_NOTHING}, if the two clients are one; else correct the e-mail of one in FreshBooks.",
    "client-restored": f"{_NOTHING}: an order came for it.",
    "closed-period": f"Open the period, or set lock_date_action to 'today' in mapper.toml, {_AGAIN}.",
    "customer-changed-after-invoice": f"Give the invoice to the order's client in FreshBooks, {_AGAIN}.",
    "customer-unknown": f"Sync the customer first, or set up the connection to Clarity, {_AGAIN}.",
    "customer-deleted-at-source": f"{_NOTHING}: its client stays; archive it by hand, or set clients.ended.",
    "customer-merged": f"{_NOTHING}: neither has a client yet; the other one's is made when it is needed.",
    "duplicate-sku": f"{_SOURCE}: give each variant a SKU of its own.",
    "edited-after-invoice": "Accept or refuse it ('mapper-sync proposals'), or correct it by hand and skip the record.",
    "email-taken": f"Merge the two in Clarity or FreshBooks if they are one customer or correct the e-mail, {_AGAIN}.",
    "event-contradicts-record": f"Look which of the two is right in Clarity, {_AGAIN} or skip it.",
    "first-run-cap": "Look at the first invoices in FreshBooks, then 'mapper-sync caps lift --spec NAME'.",
    "item-deleted": f"{_NOTHING}; restore it in FreshBooks if it is to follow its product again.",
    "kept-from-freshbooks": f"{_NOTHING}: what a person wrote counts; make both sides say the same to end this note.",
    "merged-in-a-circle": f"{_SOURCE}: of customers that are merged, one has to be left.",
    "invoice-deleted": "Restore the invoice in FreshBooks and replay the record, or skip it.",
    "no-total": f"Add a money block to the mapping and have it approved, {_AGAIN}.",
    "not-agreed": f"Compare the draft with the order, correct the draft in FreshBooks, {_AGAIN}.",
    "number-taken": f"Rename the other invoice in FreshBooks or make this one's marker and total agree, {_AGAIN}.",
    "open-invoices": f"Collect, credit or write off what is open, {_AGAIN}; or skip it, and the client stays.",
    "order-id-reused": "Two orders have one id but for its case: enter the second one by hand, then skip the record.",
    "product-deleted-at-source": f"{_NOTHING}: its items stay; archive them by hand, or set items.ended.",
    "rebuilt-ambiguous": "Keep one of the two objects in FreshBooks, delete the other, and rebuild again.",
    "sku-of-another-product": f"{_SOURCE}: one of the two products needs another SKU; it goes on by itself then.",
    "test-order": f"{_NOTHING}: test orders are never invoiced.",
    "total-differs": f"Correct the draft in FreshBooks so that it comes to the order's total, {_AGAIN}.",
    "written-twice": "Look in FreshBooks whether it is there twice, delete one, then skip the record.",
    # Corrections of what is posted.
    "correction-refused": f"{_NOTHING}: somebody has refused it, and the books stay as they are.",
    "correction-taken-back": "Undo the correction in FreshBooks and replay the record, or skip it and the books stay.",
    "credit-differs": f"Correct the credit note in FreshBooks so that it comes to what was accepted, {_AGAIN}.",
    "not-written": f"{_NOTHING}: a dry run writes nothing.",
    "order-never-invoiced": f"{_NOTHING}: there is no invoice to correct.",
    "no-refund-amount": f"{_SOURCE}: give the return its refund amount.",
    "several-orders": "Book the return by hand on each of its orders, then skip the record.",
    "refund-deleted": f"{_NOTHING}: the return was deleted in Clarity.",
    "refund-before-payment": f"{_NOTHING}: it is proposed when the payment is posted.",
    "refund-beyond-paid": f"Look what was paid; enter the missing payment, or correct the refund, {_AGAIN}.",
    "refund-changed": "Correct what was booked of the refund in FreshBooks by hand, then skip the record.",
    "refund-currency": f"Correct the currency of the refund or of its order in Clarity, {_AGAIN}.",
    "refund-proposed": "Look at it with 'mapper-sync proposals', then accept it in one of its ways, or refuse it.",
    # The way back.
    "changed-on-both-sides": "Make both systems say the same; the next event settles it, or replay the record.",
    "draft-invoice": f"{_NOTHING}: it is told once the invoice was sent and something is paid.",
    "gone-in-clarity": f"{_NOTHING}: there is no record left in Clarity to tell it to.",
    "gone-in-freshbooks": f"{_NOTHING}: there is nothing left to tell.",
    "no-clarity": f"Set up the connection to Clarity, {_AGAIN}.",
    "no-order": f"{_NOTHING}: the payment is another business's.",
    "no-safe-route": "Change the mapping, or list the member in the setting A43 if your store takes it; then replay.",
    "no-way-back": f"Take the step 'update' out of this mapping, {_AGAIN}.",
    "not-from-clarity": f"{_NOTHING}: the record came from no order or customer of Clarity.",
    "not-the-customer": f"{_NOTHING}: change the customer in Clarity if this should count there.",
    "payment-state": "Look at the order and its invoice, correct the one that is wrong, then replay or skip it.",
    "several-customers": "Change the customers in Clarity, then skip the record.",
    "waits-for-way-back": f"{_NOTHING}: what was changed in FreshBooks is judged first.",
    "way-back-off": f"{_NOTHING}: the way back is switched off (setting A43).",
    # Payments.
    "order-not-posted": f"{_NOTHING} here: mend the order, and the payment comes with it.",
    "overpaid": "Look for a payment entered by hand in FreshBooks; delete it and replay the record, or skip it.",
    "overpayment-credit": "FreshBooks made client credit of the payment: remove the doubled payment there, then skip.",
    "payment-changed": "Bring the payment in FreshBooks to what the record says, then replay it; or skip the record.",
    "payment-currency": f"Correct the currency of the payment or of its order in Clarity, {_AGAIN}.",
    "payment-doubled": "Delete the doubled payment in FreshBooks, then replay the record.",
    "payment-id-reused": "Two payments have one id in Clarity: enter the second one by hand, then skip the record.",
    "payment-in-doubt": "Look in FreshBooks whether the payment is there; enter it if not, then skip the record.",
    "waits-for-order": f"{_NOTHING}: it is posted with its order.",
    # Mappings that ask for what cannot be done.
    "no-such-lookup": f"{_MAPPING}: this cannot be looked up.",
    "no-such-match": f"{_MAPPING}: records cannot be matched by this field.",
    "no-such-output": f"{_MAPPING}: the earlier step brings no such member.",
    "unknown-lookup": f"{_MAPPING}: it names a lookup step that is not there.",
    "unknown-value": f"{_MAPPING}: it reads a value that is not there.",
    "too-deep": f"{_MAPPING}: its values read one another in too long a chain.",
    # What a record's own values say.
    "ambiguous-currency": f"{_SOURCE}: give the currency's code.",
    "ambiguous-date": f"{_SOURCE}, or let the mapping name one date format.",
    "ambiguous-number": f"{_SOURCE}, or let the mapping name the decimal sign.",
    "bad-boolean": f"{_SOURCE}: expected true or false.",
    "bad-date": f"{_SOURCE}, or let the mapping name the date's format.",
    "bad-line": f"{_SOURCE}: a line of the order cannot be read.",
    "bad-list": f"{_SOURCE}: expected a list.",
    "bad-number": f"{_SOURCE}: expected a number.",
    "bad-object": f"{_SOURCE}: expected an object.",
    "bad-text": f"{_SOURCE}: the text is broken.",
    "bad-value": f"{_SOURCE}, or let the mapping take such values.",
    "charge-rows-differ": f"{_SOURCE}: the charge is not the sum of its rows.",
    "check-failed": f"{_SOURCE}, or change the check in the mapping and have it approved.",
    "currency-missing": f"{_SOURCE}: the amount needs a currency.",
    "division-by-zero": f"{_SOURCE}, or let the mapping pass over such records.",
    "duplicate-key": f"{_SOURCE}: two of its elements have the same key.",
    "missing-id": f"{_SOURCE}: the record has no id.",
    "missing-key": f"{_SOURCE}: there is nothing to make its key from.",
    "missing-order-number": f"{_SOURCE}: the order has no number.",
    "missing-required": f"Fill in the empty field in Clarity or give the mapping a default, {_AGAIN}.",
    "no-lines": f"{_SOURCE}: the order has no lines.",
    "not-in-table": "Add the value to the mapping's table and have it approved, or set an alias for a payment method.",
    "not-looked-up": f"{_NOTHING} but to replay it: it is looked up with the next run.",
    "nothing-to-spread-over": f"{_SOURCE}: there is no line to spread the amount over.",
    "operand-missing": f"{_SOURCE}: a value that is computed with is empty.",
    "other-list": f"{_MAPPING}: two lists are read side by side that do not belong together.",
    "too-long": f"{_SOURCE}: a text or list is too long.",
    "unknown-currency": f"{_SOURCE}: give the currency's code.",
    "unknown-status": f"Add the status to the mapping and have it approved, {_AGAIN}.",
    # An order's money.
    "discount-too-large": f"{_SOURCE}: the discount is larger than what it applies to.",
    "discounts-differ": f"{_SOURCE}: the lines carry more discount than the order.",
    "line-sum-differs": f"{_SOURCE}: the lines do not add up to the order's subtotal.",
    "line-total-differs": f"{_SOURCE}: a line is not quantity times price less discount.",
    "negative-line": "Invoice the order by hand and skip the record, or allow negative lines in the mapping.",
    "tax-does-not-agree": f"{_SOURCE}: its tax is not what its rates make of it.",
    "tax-rate-out-of-range": f"{_SOURCE}: a tax rate is not between 0 and 100 percent.",
    "tax-rate-too-fine": f"{_SOURCE}: FreshBooks takes three decimals of a percent.",
    "tax-rate-unknown": f"Add the rate to the mapping's table of tax rates and have it approved, {_AGAIN}.",
    "too-many-taxes": f"Add an entry that combines these taxes to the mapping and have it approved, {_AGAIN}.",
    "total-does-not-agree": f"{_SOURCE}: FreshBooks would come to another total than the order.",
    "totals-do-not-add-up": f"{_SOURCE}: its total is not the sum of its parts.",
    # Things told that stop nothing.
    "sku-gone": f"{_NOTHING}: archive the item by hand, or set items.ended in mapper.toml.",
    "unknown-sku": "Create the item in FreshBooks, or set an alias: 'mapper-sync alias set sku NAME SKU'.",
    "zero-quantity-line": f"{_NOTHING}: the line was left out.",
}

_FAMILIES: Final = (
    (r"several-\w+s", "Merge them in FreshBooks or keep one, then replay the record."),
    (r"\w+-deleted", "Restore it in FreshBooks, then replay the record."),
    (
        r"[\w-]+-after-invoice",
        "Accept or refuse what is proposed ('mapper-sync proposals'), or do it by hand and skip.",
    ),
    (r"unknown-\w+", "Create it in FreshBooks, or correct its name in Clarity."),
    (r"assumption-A\d+", "Correct the setting in mapper.toml where this store differs."),
    (r"not-[\w-]+", "Nothing to do: the mapping leaves this part out."),
)
_OF_A_MAPPING: Final = (
    "A rule of the mapping says so: correct the record in Clarity, or change the rule and approve it; then replay."
)


def mend_of(reason_id: str) -> str:
    """One sentence for an operator. Ids that a mapping brings itself (gates, assertions) share one."""
    known = MENDS.get(reason_id)
    if known is not None:
        return known
    return next((mend for pattern, mend in _FAMILIES if re.fullmatch(pattern, reason_id)), _OF_A_MAPPING)


def is_known(reason_id: str) -> bool:
    """Whether there is a sentence for this very reason or its family."""
    return reason_id in MENDS or any(re.fullmatch(pattern, reason_id) for pattern, _ in _FAMILIES)
