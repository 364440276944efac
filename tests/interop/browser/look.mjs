// Opens redis-commander in a headless Chromium and clicks on keys, as a person would.
// Prints a JSON object: the text that is shown for each key. Takes a screenshot of the first key.
//
// usage: node look.mjs CHROMIUM URL SCREENSHOT KEY...
import puppeteer from "puppeteer-core";

const [chromium, url, screenshot, ...keys] = process.argv.slice(2);

const browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu"] });
try {
  const page = await browser.newPage();
  await page.setViewport({ width: 1000, height: 420 });
  await page.goto(url, { waitUntil: "networkidle0" });
  const shown = {};
  for (const key of keys) {
    const node = `::-p-xpath(//a[contains(@class, 'jstree-anchor')][normalize-space()='${key}'])`;
    await page.locator(node).click();
    await page.locator(`::-p-xpath(//label[normalize-space()='Key: ${key}'])`).wait();
    shown[key] = await page.$eval("#stringValue", (area) => area.value);
    if (key === keys[0]) await page.screenshot({ path: screenshot });
  }
  console.log(JSON.stringify(shown));
} finally {
  await browser.close();
}
