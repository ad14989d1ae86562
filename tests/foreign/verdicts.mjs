// The judge that nobody here wrote: ajv, with the formats of the shared language written again from schemas/README.md.
// Usage: node verdicts.mjs SCHEMA_FILE... ; reads one {"schema": address, "value": anything} a line,
// prints one {"valid": boolean, "places": [JSON pointers of what is wrong]} a line.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const OUR_ANNOTATIONS = ["x-title-en", "x-description-en", "x-category", "x-sensitivity", "x-code-list", "x-tolerant"];

function luhn(digits) {
  const doubled = [...digits].reverse().map((digit, place) => Number(digit) * (place % 2 ? 2 : 1));
  return doubled.reduce((sum, number) => sum + (number > 9 ? number - 9 : number), 0) % 10 === 0;
}

function siret(text) {
  if (!/^[0-9]{14}$/.test(text) || text.startsWith("000000000")) return false;
  const digits = [...text].reduce((sum, digit) => sum + Number(digit), 0);
  return (text.startsWith("356000000") && digits % 5 === 0) || (luhn(text) && luhn(text.slice(0, 9)));
}

function partialDate(text) {
  const found = /^([0-9]{4})-([0-9]{2})-([0-9]{2})$/.exec(text);
  if (!found) return false;
  const [year, month, day] = found.slice(1).map(Number);
  if (year === 0 || month > 12 || (month === 0 && day > 0)) return false;
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  return day <= [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][Math.max(month, 1) - 1];
}

const ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false, allErrors: true });
addFormats(ajv, ["date", "date-time"]);
ajv.addVocabulary(OUR_ANNOTATIONS);
ajv.addFormat("siret", siret);
ajv.addFormat("partial_date", partialDate);
ajv.addFormat("cog_commune", /^(?:[013-9][0-9]|2[AB1-9])[0-9]{3}$/);
ajv.addFormat("cog_country", /^(?:99[0-9]{3}|92352)$/);
ajv.addFormat("nir", /^[1-478][0-9]{2}(?:0[0-9]|1[0-2]|[23][0-9]|4[0-2]|[5-9][0-9])(?:[0-9]{2}|2[AB])[0-9]{8}$/);
for (const file of process.argv.slice(2)) ajv.addSchema(JSON.parse(readFileSync(file, "utf8")));

for await (const line of createInterface({ input: process.stdin })) {
  const { schema, value } = JSON.parse(line);
  const judge = ajv.getSchema(schema);
  const valid = judge(value);
  const places = [...new Set((judge.errors ?? []).map((error) => error.instancePath))];
  process.stdout.write(`${JSON.stringify({ valid, places: valid ? [] : places })}\n`);
}
