/** `bun run portable`: runs the portable test under every available runtime and prints hashes of the results. */
import { makeProject } from "./project.ts"
import { runtimes, writePrograms } from "./runtimes.ts"

const print = (...columns: readonly [string, string, string, string, string, string]) =>
  process.stdout.write(`${columns.map((text, i) => text.padEnd([18, 11, 14, 14, 14, 0][i] as number)).join("")}\n`)

const project = await makeProject()
try {
  await writePrograms(project.folder)
  print("runtime", "backend", "weights", "predictions", "program file", "loss, first and last")
  for (const { name: runtime, missing, run } of runtimes)
    for (const [backend, report] of missing === ""
      ? Object.entries(await run(project.folder))
      : [["", missing] as const])
      if (typeof report === "string") process.stdout.write(`${runtime} ${backend}${report}\n`)
      else {
        const { weights, predictions, answers, firstLoss, lastLoss } = report
        const losses = `${firstLoss.toFixed(4)} → ${lastLoss.toFixed(4)}`
        print(runtime, backend, weights.slice(0, 12), predictions.slice(0, 12), answers.slice(0, 12), losses)
      }
} finally {
  await project.remove()
}
