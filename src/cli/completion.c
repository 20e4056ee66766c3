/*
 * `amend completion`: what a shell needs to complete the command line.
 * Leaves what can stand where to complete.c, which the scripts ask through `amend __complete`.
 */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "exit.h"

/* Bash splits words at = and :, which are parts of ours; and takes the last part back. */
static const char bash_script[] = "# bash completion for amend\n"
				  "_amend() {\n"
				  "\tlocal amend=${1/#\\~\\//$HOME/} rest=${COMP_LINE:0:COMP_POINT}\n"
				  "\tlocal i n=-1 gap word current prefix\n"
				  "\tlocal -a words=()\n"
				  "\tCOMPREPLY=()\n"
				  "\tfor ((i = 0; i <= COMP_CWORD; i++)); do\n"
				  "\t\tgap=${rest%%[^[:blank:]]*}\n"
				  "\t\trest=${rest#\"$gap\"}\n"
				  "\t\tword=${COMP_WORDS[i]}\n"
				  "\t\t((i < COMP_CWORD)) || word=$rest\n"
				  "\t\trest=${rest#\"$word\"}\n"
				  "\t\t[[ -z $gap && n -ge 0 ]] || words[++n]=\n"
				  "\t\twords[n]+=$word\n"
				  "\tdone\n"
				  "\tcurrent=${words[n]}\n"
				  "\tprefix=${current%\"${current##*[$COMP_WORDBREAKS]}\"}\n"
				  "\twhile IFS=$'\\t' read -r word _; do\n"
				  "\t\tif [[ $word == :files ]]; then\n"
				  "\t\t\tcompopt -o filenames 2>/dev/null\n"
				  "\t\t\twhile IFS= read -r word; do\n"
				  "\t\t\t\tCOMPREPLY+=(\"$word\")\n"
				  "\t\t\tdone < <(compgen -f -- \"${current#\"$prefix\"}\")\n"
				  "\t\telse\n"
				  "\t\t\t[[ $word != *= ]] || compopt -o nospace 2>/dev/null\n"
				  "\t\t\tCOMPREPLY+=(\"${word#\"$prefix\"}\")\n"
				  "\t\tfi\n"
				  "\tdone < <(\"$amend\" __complete \"${words[@]:1}\" 2>/dev/null)\n"
				  "}\n"
				  "complete -F _amend amend\n";

static const char zsh_script[] = "#compdef amend\n"
				 "_amend() {\n"
				 "\tlocal line\n"
				 "\tlocal -a lines plain open plain_about open_about\n"
				 "\tlines=(\"${(@f)$(\"${(Q)words[1]/#\\~\\//$HOME/}\" __complete "
				 "\"${(@Q)words[2,CURRENT-1]}\" \"${(Q)PREFIX}\" 2>/dev/null)}\")\n"
				 "\tfor line in $lines; do\n"
				 "\t\tif [[ $line == :files ]]; then\n"
				 "\t\t\tcompset -P '--[^=]##='\n"
				 "\t\t\t_files\n"
				 "\t\telif [[ ${line%%$'\\t'*} == *= ]]; then\n"
				 "\t\t\topen+=(\"${line%%$'\\t'*}\")\n"
				 "\t\t\topen_about+=(\"${line/$'\\t'/  }\")\n"
				 "\t\telse\n"
				 "\t\t\tplain+=(\"${line%%$'\\t'*}\")\n"
				 "\t\t\tplain_about+=(\"${line/$'\\t'/  }\")\n"
				 "\t\tfi\n"
				 "\tdone\n"
				 "\t(( $#plain )) && compadd -l -d plain_about -a plain\n"
				 "\t(( $#open )) && compadd -S '' -l -d open_about -a open\n"
				 "\treturn 0\n"
				 "}\n"
				 "if [[ $funcstack[1] == _amend ]]; then\n"
				 "\t_amend \"$@\"\n"
				 "else\n"
				 "\tcompdef _amend amend\n"
				 "fi\n";

static const char fish_script[] =
	"# fish completion for amend\n"
	"function __amend_complete\n"
	"\tset -l words (commandline -opc)\n"
	"\tset -l current (commandline -ct)\n"
	"\tset -l amend $words[1]\n"
	"\tset -e words[1]\n"
	"\tfor line in ($amend __complete $words \"$current\" 2>/dev/null)\n"
	"\t\tif test \"$line\" = :files\n"
	"\t\t\tset -l prefix (string match -r -- '^--[^=]*=' \"$current\")\n"
	"\t\t\tfor path in (__fish_complete_path (string replace -r -- '^--[^=]*=' '' "
	"\"$current\"))\n"
	"\t\t\t\techo \"$prefix$path\"\n"
	"\t\t\tend\n"
	"\t\telse\n"
	"\t\t\techo $line\n"
	"\t\tend\n"
	"\tend\n"
	"end\n"
	"complete -c amend -f -a '(__amend_complete)'\n";

static int run(const struct cli_args *args)
{
	static const struct {
		const char *shell, *script;
	} scripts[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};

	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		if (strcmp(args->words[0], scripts[i].shell) == 0) {
			fputs(scripts[i].script, stdout);
			return CLI_DONE;
		}
	}
	return cli_usage(args, "expected bash, zsh or fish, found \"%s\"", args->words[0]);
}

static const struct cli_option options[] = {
	{CLI_OPTIONS_END},
};

const struct cli_command cli_command_completion = {
	.name = "completion",
	.words = "bash|zsh|fish",
	.summary = "what a shell needs to complete amend's command line",
	.about = "Prints the script by which a shell completes commands, options, what options take, files,\n"
		 "and the tables and columns of a SQLite file. make install puts it where shells look.",
	.examples = "amend completion bash >>~/.bash_completion\n"
		    "amend completion zsh >~/.zfunc/_amend   (a folder in $fpath)\n"
		    "amend completion fish >~/.config/fish/completions/amend.fish",
	.exits = "0 done  2 no such shell",
	.options = options,
	.least = 1,
	.most = 1,
	.run = run,
};
