// sqs-consumer handles messages and deletes what its handler does not reject.
import { Consumer } from "sqs-consumer";
import { SQSClient, SendMessageCommand, CreateQueueCommand, GetQueueAttributesCommand } from "@aws-sdk/client-sqs";

const sqs = new SQSClient({ endpoint: process.argv[2], region: "eu-west-1", credentials: { accessKeyId: "111111111111", secretAccessKey: "x" } });
const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: "consumed", Attributes: { VisibilityTimeout: "1" } }));
for (let i = 0; i < 20; i++) await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: `job ${i}` }));
const seen = new Map();
const consumer = Consumer.create({
  queueUrl: QueueUrl, sqs, batchSize: 10, waitTimeSeconds: 5,
  handleMessage: async (m) => {
    seen.set(m.Body, (seen.get(m.Body) ?? 0) + 1);
    if (m.Body === "job 3" && seen.get(m.Body) === 1) throw new Error("the first time fails");
    return m;
  },
});
consumer.on("error", (e) => { console.error("error", e); process.exit(1); });
consumer.on("processing_error", () => {});
consumer.start();
for (;;) {
  const a = (await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["All"] }))).Attributes;
  if (+a.ApproximateNumberOfMessages + +a.ApproximateNumberOfMessagesNotVisible === 0) break;
  await new Promise((r) => setTimeout(r, 50));
}
if (seen.size !== 20 || seen.get("job 3") !== 2) { console.error(seen); process.exit(1); }
console.log("done");
process.exit(0);
