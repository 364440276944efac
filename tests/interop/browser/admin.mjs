// Opens the admin port's page in a headless Chromium and takes a screenshot, then opens a page that attacks it.
// Prints a JSON object: what is shown, what was loaded or complained about, and how each way in ended.
//
// usage: node admin.mjs CHROMIUM URL SCREENSHOT [EVIL_URL REBOUND_URL]
// The host of REBOUND_URL leads to 127.0.0.1, as a name does after DNS rebinding.
import puppeteer from "puppeteer-core";

const [chromium, url, screenshot, evil, rebound] = process.argv.slice(2);
const args = ["--no-sandbox", "--disable-gpu", "--disable-lcd-text"];
if (rebound) args.push(`--host-resolver-rules=MAP ${new URL(rebound).hostname} 127.0.0.1`);
const browser = await puppeteer.launch({ executablePath: chromium, args });

/** A page that records what it loads, and everything that the browser says about it. */
async function open() {
  const page = await browser.newPage();
  const record = { page, responses: [], complaints: [] };
  page.on("response", (response) => record.responses.push([response.url(), response.status()]));
  page.on("console", (message) => record.complaints.push(message.text()));
  page.on("pageerror", (error) => record.complaints.push(String(error)));
  page.on("dialog", async (dialog) => {
    record.complaints.push(`dialog: ${dialog.message()}`);
    await dialog.dismiss();
  });
  await page.setViewport({ width: 1000, height: 500 });
  return record;
}

async function follow(page, text) {
  const [answer] = await Promise.all([page.waitForNavigation(), page.locator(`::-p-text(${text})`).click()]);
  return answer.status();
}

/** The content of the page, as a person and as the browser sees it. */
async function look() {
  const { page, responses, complaints } = await open();
  await page.goto(url, { waitUntil: "networkidle0" });
  const shown = await page.evaluate(() => {
    const elements = [...document.querySelectorAll("*")];
    return {
      title: document.title,
      text: document.body.innerText,
      tables: [...document.querySelectorAll("table")].map((table) =>
        [...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent)),
      ),
      elements: [...new Set(elements.map((element) => element.localName))].sort(),
      attributes: [...new Set(elements.flatMap((element) => element.getAttributeNames()))].sort(),
      align: getComputedStyle(document.querySelector(".number")).textAlign,
      isWide: document.documentElement.scrollWidth > innerWidth,
    };
  });
  await page.screenshot({ path: screenshot, fullPage: true });
  const loaded = responses.map(([address]) => address);
  return { page, shown: { ...shown, loaded, complaints } };
}

/** The links of the page, and its way to load itself again. */
async function walk(page) {
  const config = [await follow(page, "configuration"), await page.evaluate(() => document.body.innerText)];
  await page.goBack();
  const refresh = await follow(page, "load every 10 seconds");
  const reloaded = (await page.waitForNavigation({ timeout: 60000 })).status();
  return { config, refresh, reloaded };
}

/** What a page of another origin gets: its requests, then a click on its link. */
async function attack() {
  const { page, responses } = await open();
  await page.goto(evil, { waitUntil: "networkidle0" });
  await page.waitForFunction("document.title === 'done'");
  const origin = new URL(url).origin;
  const statuses = responses.filter(([address]) => new URL(address).origin === origin).map(([, status]) => status);
  const read = await page.evaluate("window.read");
  const click = await follow(page, "a link");
  return { statuses, read, click, title: await page.title() };
}

async function rebind() {
  const { page } = await open();
  const answer = await page.goto(rebound, { waitUntil: "networkidle0" });
  return { status: answer.status(), text: await page.evaluate(() => document.body.innerText) };
}

try {
  const { page, shown } = await look();
  const others = evil ? { walk: await walk(page), attack: await attack(), rebind: await rebind() } : {};
  console.log(JSON.stringify({ look: shown, ...others }));
} finally {
  await browser.close();
}
