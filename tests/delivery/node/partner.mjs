// A partner's software, with libraries that nobody here wrote. Reads one JSON object, writes one.
import { readFileSync } from "node:fs";
import amqp from "amqplib";
import { compactDecrypt, importJWK } from "jose";
import { Webhook } from "standardwebhooks";

const asked = JSON.parse(readFileSync(0, "utf8"));

const receive = async ({ url, queue, answers, key, reason, foreign }) => {
  const connection = await amqp.connect(url);
  const channel = await connection.createChannel();
  await channel.prefetch(1);
  const message = await new Promise((resolve) => channel.consume(queue, resolve, { noAck: false }));
  const { plaintext, protectedHeader } = await compactDecrypt(message.content.toString(), await importJWK(key, "ECDH-ES+A256KW"));
  const delivery = message.properties.messageId;
  const answer = reason ? { delivery, answer: "nack", reason } : { delivery, answer: "ack" };
  channel.publish(answers, "", Buffer.from(JSON.stringify(answer)));
  channel.ack(message);
  await channel.close();
  const refused = {};
  for (const [name, work] of Object.entries({
    read: (other) => other.get(foreign.queue),
    purge: (other) => other.purgeQueue(foreign.queue),
    remove: (other) => other.deleteQueue(foreign.queue),
    answer: (other) => other.checkExchange(foreign.answers).then(() => publish(other, foreign.answers)),
    bypass: (other) => publish(other, "", foreign.queue),
    declare: (other) => other.assertQueue(`${queue}.more`),
  })) {
    if (!foreign) break;
    const other = await connection.createConfirmChannel();
    other.on("error", () => {});
    refused[name] = await work(other).then(() => "done", (error) => String(error.code ?? error.message));
  }
  await connection.close();
  return { header: protectedHeader, document: JSON.parse(new TextDecoder().decode(plaintext)), refused };
};

const publish = (channel, exchange, key = "") =>
  new Promise((resolve, reject) => {
    channel.once("error", reject);
    channel.publish(exchange, key, Buffer.from("{}"), {}, (error) => (error ? reject(error) : resolve()));
  });

const verify = ({ secret, headers, body }) => {
  try {
    return { accepted: new Webhook(secret).verify(body, headers) };
  } catch (error) {
    return { refused: error.name };
  }
};

const done = asked.queue ? await receive(asked) : verify(asked);
console.log(JSON.stringify(done));
process.exit(0);
