import { add } from "./in-page.ts"

const scope = globalThis as unknown as {
  onmessage: (event: { readonly data: string }) => void
  readonly postMessage: (message: unknown) => void
}
scope.onmessage = ({ data }) => scope.postMessage(`${data.trim()} ${add(20, 1)}`)
