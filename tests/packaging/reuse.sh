#!/bin/bash
# reuse.sh BUILD LOG COMPILER ARGUMENTS…: a compiler launcher for a build that has Duet as a folder. Where Duet's own
# build in BUILD has run the very same command, but for where it lies, its object is taken; whatever else is compiled
# is written to LOG.
set -eu
build=$1 log=$2
shift 2
words=() source='' object='' dependencies='' target=''
all=("$@")
for ((i = 0; i < $#; ++i)); do
  case ${all[i]} in
    -MD) ;;
    -MT) target=${all[++i]} ;;
    -MF) dependencies=${all[++i]} ;;
    -o) object=${all[++i]} ;;
    -c) source=${all[++i]} ;;
    -I*/duet/include) words+=("-I$build/include") ;;
    *) words+=("${all[i]}") ;;
  esac
done
wanted=${words[*]}
while read -r command; do
  made=${command##* -o }
  made=${made%% -c *}
  if [ "${command%% -o *}" = "$wanted" ] && [ -e "$build/$made" ]; then
    cp "$build/$made" "$object"
    [ -z "$dependencies" ] || echo "$target: $source" >"$dependencies"
    exit 0
  fi
done < <(grep -F -e "-c $source\"" "$build/compile_commands.json" | sed 's/^ *"command": "//; s/",$//')
echo "$source" >>"$log"
exec "$@"
