// Drives the FreshBooks stand-in with the official Node SDK and prints what it saw as one line of JSON.
// Arguments: base URL, account id, access token.
const { Client } = require("@freshbooks/api");
const builders = require("@freshbooks/api/dist/models/builders");

const [url, account, accessToken] = process.argv.slice(2);
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const api = new Client("any", { accessToken, apiUrl: url, retryOptions: { retries: 0 } }, quiet);
const seen = {};

async function done(call) {
  return (await call).data;
}

async function refused(call) {
  try {
    await call;
  } catch (error) {
    return error;
  }
  throw new Error("nothing was refused");
}

const search = (name, value) => [new builders.SearchQueryBuilder().equals(name, value)];
const lines = [new builders.IncludesQueryBuilder().includes("lines")];
const usd = (amount) => ({ amount, code: "USD" });

async function clients() {
  const made = await done(api.clients.create({ email: "ann@shop.example", fName: "Ann" }, account));
  await done(api.clients.create({ email: "bob@shop.example" }, account));
  const changed = await done(api.clients.update({ fName: "Anna" }, account, made.id));
  const found = await done(api.clients.list(account, search("email", "ann@shop.example")));
  const second = await done(api.clients.list(account, [new builders.PaginationQueryBuilder().page(2).perPage(1)]));
  await done(api.clients.delete(account, second.clients[0].id));
  const left = await done(api.clients.list(account));
  const missing = await refused(api.clients.single(account, "12345"));
  seen.clients = {
    organization: made.organization,
    changed: [changed.fName, changed.email],
    found: found.clients.map((client) => client.id === made.id),
    pages: second.pages,
    left: left.clients.length,
    missing: missing.errors[0],
  };
  return made.id;
}

async function invoices(customerId) {
  const body = {
    customerId,
    createDate: new Date(2026, 0, 31),
    invoiceNumber: "N-1",
    lines: [{ name: "Mug", qty: 2, unitCost: usd("9.50"), taxName1: "GST", taxAmount1: "5" }],
  };
  const made = await done(api.invoices.create(body, account, lines));
  const bare = await done(api.invoices.single(account, made.id));
  const read = await done(api.invoices.single(account, made.id, lines));
  const changed = await done(api.invoices.update(account, made.id, { notes: "hello" }));
  const found = await done(api.invoices.list(account, search("invoice_number", "N-1")));
  const taken = await refused(api.invoices.create(body, account));
  seen.invoices = {
    number: made.invoiceNumber,
    amount: made.amount.amount.toString(),
    bareLines: bare.lines ?? null,
    lines: read.lines.map((line) => [line.name, String(line.qty)]),
    notes: changed.notes,
    found: found.invoices.length,
    taken: taken.errors[0].errorCode,
  };
  return made.id;
}

async function payments(invoiceId) {
  const body = { invoiceId, amount: usd("19.95"), date: new Date(2026, 0, 31), type: "Cash", note: "n1" };
  const made = await done(api.payments.create(account, body));
  const paid = await done(api.invoices.single(account, invoiceId));
  const found = await done(api.payments.list(account, [new builders.SearchQueryBuilder().like("notes", "n1")]));
  const changed = await done(api.payments.update(account, made.id, { note: "n2" }));
  const read = await done(api.payments.single(account, made.id));
  await done(api.payments.delete(account, made.id));
  const open = await done(api.invoices.single(account, invoiceId));
  await done(api.invoices.delete(account, invoiceId));
  const left = await done(api.invoices.list(account));
  seen.payments = {
    paid: [paid.v3Status, paid.outstanding.amount.toString()],
    found: found.payments.length,
    notes: [changed.note, read.note],
    open: open.v3Status,
    left: left.invoices.length,
  };
}

async function items() {
  const made = await done(api.items.create(account, { name: "Mug", sku: "M1", unitCost: usd("9.5"), qty: "1" }));
  const changed = await done(api.items.update(account, made.id, { name: "Cup" }));
  const found = await done(api.items.list(account, search("sku", "M1")));
  const read = await done(api.items.single(account, made.id));
  seen.items = { names: [made.name, changed.name, read.name], found: found.items.length, sku: read.sku };
}

async function otherIncome() {
  const body = { amount: usd("5.00"), date: new Date(2026, 0, 31), categoryName: "online_sales", taxes: [] };
  const made = await done(api.otherIncomes.create(body, account));
  const found = await done(api.otherIncomes.list(account));
  seen.otherIncome = { category: made.categoryName, found: found.otherIncomes.length };
}

async function callbacks() {
  const made = await done(api.callbacks.create({ event: "invoice", uri: `${url}/nowhere` }, account));
  const unknown = await refused(api.callbacks.create({ event: "invoice.paid", uri: url }, account));
  await done(api.callbacks.delete(account, made.callbackId ?? made.id));
  const left = await done(api.callbacks.list(account));
  seen.callbacks = { verified: made.verified, unknown: unknown.statusCode, left: left.callbacks.length };
}

async function identity() {
  const me = await done(api.users.me());
  seen.identity = me.businessMemberships[0].business.accountId;
}

(async () => {
  const client = await clients();
  await payments(await invoices(client));
  await items();
  await otherIncome();
  await callbacks();
  await identity();
  console.log(JSON.stringify(seen));
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
