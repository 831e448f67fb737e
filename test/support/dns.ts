import dns2 from 'dns2'

export type DnsServer = Awaited<ReturnType<typeof startDns>>

/** A real DNS server on the loopback interface. What it knows, and whether it answers, can be changed at any time. */
export const startDns = async () => {
  const { Packet } = dns2
  const records = new Map<string, string[][]>()
  const state = { asked: 0, rcode: undefined as number | undefined, isSilent: false }
  const server = dns2.createServer({
    udp: true,
    handle: (request, send) => {
      state.asked++
      if (state.isSilent) return
      const response = Packet.createResponseFromRequest(request)
      const [question] = request.questions
      const found = records.get((question?.name ?? '').toLowerCase())
      if (state.rcode !== undefined) response.header.rcode = state.rcode
      else if (!found) response.header.rcode = Packet.RCODE.NXDOMAIN
      else
        for (const data of found)
          response.answers.push({
            name: question!.name,
            type: Packet.TYPE.TXT,
            class: Packet.CLASS.IN,
            ttl: 1,
            data,
          } as never)
      send(response)
    },
  })
  const { udp } = await server.listen({ udp: { port: 0, address: '127.0.0.1' } })
  return {
    /** For `createResolveTxt` and DNS_SERVERS. */
    address: `127.0.0.1:${(udp as { port: number }).port}`,
    /** TXT records by name, each in its parts. */
    records,
    state,
    /** Puts a record, or several, at a name. */
    put: ({ name, value }: { name: string; value: string }, ...others: string[]) =>
      records.set(
        name,
        [...others, value].map((text) => [text]),
      ),
    stop: () => server.close(),
  }
}
