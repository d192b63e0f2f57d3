/** `bun run cold-start`: the time from the start of the process to the first prediction of `conv`, and the time of later predictions. */
import { makeFunctions, start } from "./functions.ts"

const rounds = 15
/** The median, and the minimum, which is less affected by other load. */
const summary = (times: ReadonlyArray<number>, digits: number): string => {
  const sorted = times.toSorted((a, b) => a - b)
  return [sorted[sorted.length >> 1], sorted[0]].map((time) => time?.toFixed(digits)).join(", ")
}

const functions = await makeFunctions()
try {
  const sample = new Float32Array(28 * 28).fill(0.5)
  process.stdout.write(`median and minimum of ${rounds} starts, conv on MNIST, T = 4, ms\n`)
  process.stdout.write("| runtime | listening | first prediction | later predictions |\n| --- | --- | --- | --- |\n")
  for (const [name, command] of Object.entries(functions.commands)) {
    const listening: Array<number> = []
    const answered: Array<number> = []
    const later: Array<number> = []
    for (let round = 0; round < rounds; round++) {
      const began = performance.now()
      const { url, stop } = await start(command)
      listening.push(performance.now() - began)
      await (await fetch(url, { method: "POST", body: sample })).text()
      answered.push(performance.now() - began)
      for (let i = 0; i < 20; i++) {
        const asked = performance.now()
        await (await fetch(url, { method: "POST", body: sample })).text()
        later.push(performance.now() - asked)
      }
      await stop()
    }
    const columns = [name, summary(listening, 0), summary(answered, 0), summary(later, 1)]
    process.stdout.write(`| ${columns.join(" | ")} |\n`)
  }
} finally {
  await functions.remove()
}
