// Shows the gateway's own description of its messages; nothing is asked from any other address.
// The component draws a document whose references are followed: that is what its parser, left out here, would have done.
const followed = (root, value, path) => {
  if (Array.isArray(value)) return value.map((each) => followed(root, each, path));
  if (value === null || typeof value !== "object") return value;
  if (typeof value.$ref === "string" && value.$ref.startsWith("#/")) {
    if (path.includes(value.$ref)) return {};
    const target = value.$ref.slice(2).split("/").reduce((at, name) => at[name], root);
    return followed(root, target, [...path, value.$ref]);
  }
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, followed(root, each, path)]));
};
const shared = (root) => {
  // Operations name channels, and channels' messages, by identity: the same object, not a copy.
  const document = followed(root, root, []);
  for (const [name, operation] of Object.entries(document.operations)) {
    const channel = document.channels[root.operations[name].channel.$ref.split("/").pop()];
    operation.channel = channel;
    operation.messages = root.operations[name].messages.map(({ $ref }) => channel.messages[$ref.split("/").pop()]);
  }
  for (const channel of Object.values(document.channels))
    for (const [name, message] of Object.entries(channel.messages)) message["x-parser-unique-object-id"] = name;
  for (const group of [document.channels, document.operations])
    for (const [name, each] of Object.entries(group)) each["x-parser-unique-object-id"] = name;
  return { ...document, "x-parser-spec-parsed": true, "x-parser-api-version": 3 };
};
fetch("/asyncapi.json")
  .then((answer) => answer.json())
  .then((described) =>
    AsyncApiStandalone.render(
      { schema: shared(described), config: { show: { errors: true }, expand: { messageExamples: false } } },
      document.getElementById("asyncapi"),
    ),
  );
