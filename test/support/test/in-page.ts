/** The exports that the test calls in the page. */
export const add = (a: number, b: number): number => a + b

export const isolated = (): boolean => (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === true

export const complain = (): void => console.error("something is wrong")

/** The answer of a bundled worker to the text of a bundled file. */
export const askWorker = async (): Promise<unknown> => {
  const worker = new Worker(new URL("./echo-worker.ts", import.meta.url), { type: "module" })
  const answer = new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data)
    worker.onerror = ({ message }) => reject(new Error(message))
  })
  worker.postMessage(await (await fetch(new URL("./hello.txt", import.meta.url))).text())
  return answer.finally(() => worker.terminate())
}
