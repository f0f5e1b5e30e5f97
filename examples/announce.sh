#!/bin/sh
# Says a sentence, for cron, a doorbell or any other program that can start a command.
#
#   examples/announce.sh "The washing machine has finished."               on this machine's loudspeaker
#   examples/announce.sh "The washing machine has finished." laundry.wav   into a file, for another player
#
# It needs the command wyoming-qwen3tts, or only curl: then SPEECH_URL says where the server's HTTP port is
# (http://HOST:8080), and SPEECH_KEY is a key that it knows. VOICE names a voice. Playing takes aplay, paplay,
# play (SoX) or ffplay. The exit status is 0 if all of it was said; a file is there only then.
set -eu

text=${1:?usage: announce.sh TEXT [FILE.wav]}
file=${2:-}

if [ -z "${SPEECH_URL:-}" ]; then
    set -- "$text"
    [ -z "${VOICE:-}" ] || set -- "$@" --voice "$VOICE"
    [ -z "$file" ] || set -- "$@" --output "$file"
    exec wyoming-qwen3tts say "$@"
fi

# A text in JSON: what is special there gets a backslash, line breaks become spaces.
quoted() { printf '%s' "$1" | tr '\n\r\t' '   ' | sed 's/[\\"]/\\&/g; s/^/"/; s/$/"/'; }

sound=$(mktemp "${file:-${TMPDIR:-/tmp}/announcement}.XXXXXX")
trap 'rm -f "$sound"' EXIT
# "stream": false is a file that knows its length. --fail: an error is an exit status and not a file.
curl --silent --show-error --fail-with-body "$SPEECH_URL/v1/audio/speech" \
    ${SPEECH_KEY:+-H "Authorization: Bearer $SPEECH_KEY"} -H 'Content-Type: application/json' \
    -d "{\"input\": $(quoted "$text"), ${VOICE:+\"voice\": $(quoted "$VOICE"),} \"response_format\": \"wav\", \"stream\": false}" \
    --output "$sound" || { cat "$sound" >&2; exit 1; }
if [ -n "$file" ]; then
    chmod 644 "$sound"
    mv "$sound" "$file"
    exit
fi
for player in 'aplay -q' paplay 'play -q' 'ffplay -loglevel error -nodisp -autoexit'; do
    if command -v "${player%% *}" >/dev/null; then
        $player "$sound"
        exit
    fi
done
echo "error: no command to play sound was found; give a FILE.wav" >&2
exit 1
